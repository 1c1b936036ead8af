import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import { RetryBudget } from './retry-budget.js';

function budget(ratio = 0.2, reserve = 10) {
  const clock = { ms: 5_000_000 };
  return { clock, retries: new RetryBudget(ratio, reserve, () => clock.ms) };
}
const takeAll = (retries: RetryBudget): number => {
  let count = 0;
  while (retries.take()) count++;
  return count;
};

describe('the retry budget', () => {
  it('never gives more than the reserve and the share that requests earned, whatever happens when', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('request', 'take', 'wait'), fc.integer({ min: 1, max: 9000 })), { maxLength: 400 }), (steps) => {
        const { clock, retries } = budget();
        let requests = 0;
        let taken = 0;
        for (const [what, amount] of steps) {
          if (what === 'wait') clock.ms += amount;
          else if (what === 'take') taken += retries.take() ? 1 : 0;
          else for (let i = 0; i < amount % 50; i++, requests++) retries.onRequest();
          expect(taken).toBeLessThanOrEqual(10 + requests * 0.2 + 1e-6);
        }
      }),
    );
  });

  it('lets every call fail over that hung together for some seconds, as long as they are a fifth of all', () => {
    const { clock, retries } = budget();
    for (let i = 0; i < 5_000; i++) {
      retries.onRequest();
      if (i % 1_000 === 999) clock.ms += 1_000;
    }
    for (let i = 0; i < 1_000; i++) expect(retries.take()).toBe(true);
  });

  it('saves no more than the reserve over a quiet time', () => {
    const { clock, retries } = budget();
    for (let i = 0; i < 1_000; i++) retries.onRequest();
    clock.ms += 60_000;
    expect(takeAll(retries)).toBe(10);
  });

  it('lets a quiet gateway fail over from its reserve, and earns it again', () => {
    const { clock, retries } = budget();
    expect(takeAll(retries)).toBe(10);
    for (let i = 0; i < 5; i++) retries.onRequest();
    expect(takeAll(retries)).toBe(1);
    for (let i = 0; i < 500; i++) retries.onRequest();
    clock.ms += 31_000;
    expect(takeAll(retries)).toBe(10);
  });
});
