import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { EncodedUsageBatch, EncodedUsageEvent } from '@omg/contracts';
import { UsageOutlet, type Spool, type UsageOutletOptions } from './usage-outlet.js';

const OPTIONS: UsageOutletOptions = {
  edgeId: 'edge-1',
  lingerMs: 1,
  batchEventsMax: 4,
  inFlightMax: 2,
  queueEventsMax: 10,
  publishTimeoutMs: 60_000,
  refusalMs: 1000,
  retryMs: 5,
};

const event = (id: string): EncodedUsageEvent => ({ json: id, traceparent: undefined });
const idsOf = (batch: EncodedUsageBatch): string[] => batch.events.map((e) => e.json);

function outlet(publish: (batch: EncodedUsageBatch) => Promise<void>, spool: Spool = { append: () => Promise.resolve() }, clock = { ms: 0 }) {
  let batches = 0;
  const made = new UsageOutlet(
    publish,
    spool,
    () => `batch-${batches++}`,
    OPTIONS,
    () => clock.ms,
  );
  open.push(made);
  return made;
}

const open: UsageOutlet[] = [];
afterEach(() => open.splice(0).forEach((made) => made.close()));

describe('usage outlet', () => {
  it('sends every event once, in batches no larger than the bound', async () => {
    const sent: EncodedUsageBatch[] = [];
    const out = outlet(async (batch) => void sent.push(batch));
    for (let i = 0; i < 9; i++) out.enqueue(event(`e${i}`));
    await out.flush(60_000);
    expect(sent.flatMap(idsOf).sort()).toEqual(Array.from({ length: 9 }, (_, i) => `e${i}`));
    expect(Math.max(...sent.map((batch) => batch.events.length))).toBeLessThanOrEqual(OPTIONS.batchEventsMax);
    expect(new Set(sent.map((batch) => batch.batchId)).size).toBe(sent.length);
  });

  it('puts no more into a message than the bus takes, however large the events are', async () => {
    const sent: number[] = [];
    const out = outlet(async (batch) => void sent.push(batch.events.reduce((bytes, { json }) => bytes + Buffer.byteLength(json), 0)));
    for (let i = 0; i < 4; i++) out.enqueue(event('東'.repeat(120_000)));
    await out.flush(60_000);
    expect(sent).toHaveLength(2);
    expect(Math.max(...sent)).toBeLessThan(1_000_000);
  });

  it('sends a batch again until the bus acknowledges it', async () => {
    let failures = 3;
    const sent: string[] = [];
    const out = outlet(async (batch) => {
      if (failures-- > 0) throw new Error('bus is away');
      sent.push(...idsOf(batch));
    });
    out.enqueue(event('a'));
    out.enqueue(event('b'));
    await out.flush(60_000);
    expect(sent).toEqual(['a', 'b']);
  });

  it('bounds its memory while the bus is away and counts what it dropped', () => {
    const out = outlet(() => new Promise(() => undefined));
    for (let i = 0; i < 100; i++) out.enqueue(event(`e${i}`));
    expect(out.queued).toBeLessThanOrEqual(OPTIONS.queueEventsMax);
    expect(out.overflowed).toBe(100 - OPTIONS.inFlightMax * OPTIONS.batchEventsMax - out.queued);
  });

  it('resolves a durable publication only after the acknowledgement', async () => {
    let acknowledge = (): void => undefined;
    const out = outlet(() => new Promise<void>((resolve) => (acknowledge = resolve)));
    let durable = false;
    const publication = out.publishDurably(event('a')).then(() => (durable = true));
    await out.flush(20);
    expect(durable).toBe(false);
    acknowledge();
    await publication;
    expect(durable).toBe(true);
  });

  it('spools what the bus does not take, and sends it only there', async () => {
    const append = jest.fn<(e: EncodedUsageEvent) => Promise<void>>().mockResolvedValue(undefined);
    const out = outlet(() => Promise.reject(new Error('bus is away')), { append });
    await out.publishDurably(event('a'));
    expect(append.mock.calls.map(([e]) => e.json)).toEqual(['a']);
    expect(out.queued).toBe(0);
    expect(out.accepting).toBe(true);
  });

  it('turns new requests away for a while when neither bus nor disk takes usage', async () => {
    const clock = { ms: 0 };
    const out = outlet(() => Promise.reject(new Error('bus is away')), { append: () => Promise.reject(new Error('disk is full')) }, clock);
    await expect(out.publishDurably(event('a'))).rejects.toThrow('disk is full');
    expect(out.accepting).toBe(false);
    clock.ms = OPTIONS.refusalMs;
    expect(out.accepting).toBe(true);
  });
});
