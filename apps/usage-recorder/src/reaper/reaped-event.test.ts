import { describe, expect, it } from '@jest/globals';
import type { AttemptRecord } from '@omg/contracts';
import { attemptId } from '../usage-event.fixture.js';
import { reapedEvent } from './reaped-event.js';

const record: AttemptRecord = {
  v: 1,
  requestId: 'req_1',
  operation: 'chat',
  modelAlias: 'chat',
  stream: false,
  inputTokensEstimate: 10,
  estimatedTokens: 30,
  schedule: 'daily',
  windowId: 'daily:2026-11-23',
  hasKeyBudget: false,
};

function reaped(heldNano: bigint, change: Partial<AttemptRecord> = {}) {
  const stored = { attemptId: attemptId(Date.now()), tenantId: 't', keyId: 'k', atMs: Date.now(), heldNano, payload: JSON.stringify({ ...record, ...change }) };
  const { costNano, costComponents } = reapedEvent(stored)!;
  return { costNano, costComponents };
}

describe('an attempt that nobody ended', () => {
  it('costs what was held for it', () => {
    expect(reaped(700n, { priceVersionId: 'p' })).toEqual({ costNano: '700', costComponents: { held: '700' } });
  });

  it('costs what was held also where the first of its routes has no price: another one was held for', () => {
    expect(reaped(700n)).toEqual({ costNano: '700', costComponents: { held: '700' } });
  });

  it('has an unknown cost where no route has a price', () => {
    expect(reaped(0n)).toEqual({ costNano: null, costComponents: undefined });
  });
});
