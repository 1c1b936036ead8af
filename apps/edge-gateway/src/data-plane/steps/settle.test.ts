import { describe, expect, it } from '@jest/globals';
import type { RequestContext } from '../context.js';
import { NOTHING_CONSUMED, consumptionOf, settle } from './settle.js';

const price = { id: 'p', input: '0.001', output: '0.002', cachedInput: '0.0001' };
const ctx = {
  endpoint: { operation: 'chat' },
  parsed: { inputTokensEstimate: 99 },
  route: { price, doc: { id: 'route-1' } },
  services: { log: { warn: () => undefined } },
} as unknown as RequestContext;

describe('what an answer consumed', () => {
  it('is what the provider counted, where it did', () => {
    const meters = { inputTokens: 10, outputTokens: 20 };
    expect(consumptionOf(ctx, { meters, outputBytes: 4 })).toMatchObject({ meters, source: 'provider', cost: { totalNano: 50_000n } });
  });

  it('is exact on the input side, cached parts included, where the provider told it before a stream broke off', () => {
    const broken = consumptionOf(ctx, { inputMeters: { inputTokens: 1000, cachedInputTokens: 900 }, outputBytes: 0 });
    expect(broken).toMatchObject({ meters: { inputTokens: 1000, cachedInputTokens: 900, outputTokens: 0 }, source: 'estimate', cost: { totalNano: 190_000n } });
  });

  it('is told once in the log where no pricing tier fits and the dearest one stands in', () => {
    const told: [object, string][] = [];
    const tiers = { image: [{ unit: 'per_image', price_per_unit: '0.04', metadata: { quality: 'hd' } }] };
    const images = {
      endpoint: { operation: 'images' },
      alias: 'pictures',
      requestId: 'r',
      route: { price: { id: 'tiered', tiers }, doc: { id: 'route-1' } },
      services: { log: { warn: (fields: object, text: string) => told.push([fields, text]) } },
    } as unknown as RequestContext;
    const meters = { inputTokens: 0, outputTokens: 0, images: 1, imageQuality: 'low' };
    expect([0, 1].map(() => consumptionOf(images, { meters, outputBytes: 0 }).cost.totalNano)).toEqual([40_000_000n, 40_000_000n]);
    expect(told).toEqual([
      [expect.objectContaining({ model: 'pictures', priceVersionId: 'tiered', imageQuality: 'low' }), expect.stringContaining('pricing tier')],
    ]);
  });

  it('is estimated where the provider told counts that no call can have', () => {
    for (const absurd of [1e300, 2 ** 64 - 1, 2 ** 31, -1, 1.5, Number.NaN]) {
      const told = consumptionOf(ctx, { meters: { inputTokens: absurd, outputTokens: 20 }, outputBytes: 8 });
      expect(told).toMatchObject({ meters: { inputTokens: 99, outputTokens: 2 }, source: 'estimate' });
      expect(consumptionOf(ctx, { inputMeters: { inputTokens: 1, cachedInputTokens: absurd }, outputBytes: 0 }).meters).toEqual({
        inputTokens: 99,
        outputTokens: 0,
      });
    }
  });

  it('is estimated on both sides where the provider told nothing', () => {
    const { meters, source } = consumptionOf(ctx, { outputBytes: 400 });
    expect(meters.inputTokens).toBe(99);
    expect(meters.outputTokens).toBeGreaterThan(50);
    expect(source).toBe('estimate');
  });
});

describe('the end of a call whose attempt the reaper has ended by estimate meanwhile', () => {
  it('is on the bus before the answer ends, since Redis keeps the estimate', async () => {
    const steps: string[] = [];
    const settled = async (answer: { wasOpen: boolean; isStored: boolean }) => {
      steps.length = 0;
      const services = {
        admission: { settle: () => Promise.resolve({ ...answer, budgets: {} }) },
        usage: { enqueue: () => steps.push('queued'), publishDurably: () => Promise.resolve().then(() => steps.push('on the bus')) },
        clock: { nowMs: () => 0 },
        log: { warn: () => undefined },
      };
      const caller = { tenant: { doc: { id: 't' } }, key: { doc: { id: 'k' } } };
      const grant = { attemptId: 'a', inRedis: true, heldNano: 0n, budgets: { tenant: { windowId: 'w' } } };
      await settle({ ...ctx, services, caller, grant, attempts: [], startedAt: 0 } as unknown as RequestContext, NOTHING_CONSUMED);
      return steps;
    };
    expect(await settled({ wasOpen: false, isStored: false })).toEqual(['on the bus']);
    expect(await settled({ wasOpen: false, isStored: true })).toEqual(['queued']);
    expect(await settled({ wasOpen: true, isStored: true })).toEqual(['queued']);
  });
});
