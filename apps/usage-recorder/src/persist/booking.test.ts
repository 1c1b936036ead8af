import { describe, expect, it } from '@jest/globals';
import { usageEvent } from '../usage-event.fixture.js';
import { BUCKET_MS, bookingsOf, budgetDeltas, contributionOf, isBillable, rollingSlot, rollupDeltas } from './booking.js';

const rules = { timezone: 'Europe/Berlin', scheduleOf: () => 'daily' as const };
const DAY_MS = 86_400_000;
const bookingOf = (...args: Parameters<typeof bookingsOf>) => bookingsOf(...args)[0]!;

describe('a booking', () => {
  it("books in the window that the admission named, moving the time into it when the edge's clock says otherwise", () => {
    const windows = { schedule: 'daily', tenant: 'daily:2026-10-25' };
    // The day has 25 hours in Berlin: 24 October 22:00 to 25 October 23:00 UTC.
    const [start, end] = [Date.UTC(2026, 9, 24, 22), Date.UTC(2026, 9, 25, 23)];
    const booked = (atMs: number) => bookingOf(usageEvent({ atMs, windows }), rules).bookedAtMs;
    expect([start - 1, start, end - 1, end, end + DAY_MS].map(booked)).toEqual([start, start, end - 1, end - 1, end - 1]);
  });

  it("finds the window by the tenant's schedule when the event names none, or none that exists", () => {
    const atMs = Date.UTC(2026, 2, 29, 0, 30);
    expect(bookingOf(usageEvent({ atMs }), rules).windowId).toBe('daily:2026-03-29');
    expect(bookingOf(usageEvent({ atMs, windows: { schedule: 'x', tenant: 'fortnight:1' } }), rules).windowId).toBe('daily:2026-03-29');
  });

  it('leaves the time of a rolling window alone', () => {
    const booking = bookingOf(usageEvent({ atMs: 1_795_000_000_000, windows: { schedule: 'rolling_7d', tenant: 'rolling_7d' } }), rules);
    expect(booking).toMatchObject({ windowId: 'rolling_7d', bookedAtMs: 1_795_000_000_000 });
  });
});

describe('isBillable', () => {
  const nothing = { meters: { inputTokens: 0, outputTokens: 0 }, usageSource: 'none' as const, costNano: '0' };
  it.each([
    ['an answer', {}, true],
    ['an estimate of an aborted call', { usageSource: 'estimate' as const, costNano: null }, true],
    ['a refusal', nothing, false],
    ['a failed call', { ...nothing, status: 502 }, false],
    ['images without tokens', { ...nothing, meters: { inputTokens: 0, outputTokens: 0, images: 1 } }, true],
  ])('%s: %s', (_what, change, billable) => {
    expect(isBillable(usageEvent(change))).toBe(billable);
  });
});

describe('rollingSlot', () => {
  it('holds every bucket that overlaps the last days, and stays for one bucket', () => {
    const now = Date.UTC(2026, 10, 23, 12, 7);
    const slot = rollingSlot(7, now);
    expect([new Date(slot.startMs).toISOString(), new Date(slot.endMs).toISOString()]).toEqual(['2026-11-16T12:00:00.000Z', '2026-11-23T12:15:00.000Z']);
    expect(rollingSlot(7, now + BUCKET_MS).startMs - slot.startMs).toBe(BUCKET_MS);
  });
});

describe('sums', () => {
  it('keep unknown costs apart and agree between rollups and budgets', () => {
    const who = { tenantId: crypto.randomUUID(), apiKeyId: crypto.randomUUID(), atMs: Date.UTC(2026, 10, 23, 12, 1) };
    const rows = [usageEvent(who), usageEvent({ ...who, costNano: null }), usageEvent({ ...who, atMs: who.atMs + BUCKET_MS })].map((event) =>
      contributionOf(bookingOf(event, rules)),
    );
    const rollups = rollupDeltas(rows);
    expect(rollups.map(({ requests, costNano, unpriced }) => [requests, costNano, unpriced])).toEqual([
      [2, 1500n, 1],
      [1, 1500n, 0],
    ]);
    const sum = (values: bigint[]) => values.reduce((a, b) => a + b, 0n);
    // Each call counts for its tenant and for its key.
    expect(sum(budgetDeltas(rows).map(({ costNano }) => costNano))).toBe(2n * sum(rollups.map(({ costNano }) => costNano)));
  });

  it('of a row that takes the place of an estimate are the difference between the two', () => {
    const who = { tenantId: crypto.randomUUID(), apiKeyId: crypto.randomUUID() };
    const exact = contributionOf(bookingOf(usageEvent(who), rules));
    const estimate = { ...exact, meters: { inputTokens: 100, outputTokens: 200 }, costNano: 4_000n };
    expect(rollupDeltas([exact], [estimate])).toEqual([expect.objectContaining({ requests: 0, inputTokens: -90, outputTokens: -195, costNano: -2_500n })]);
    expect(budgetDeltas([exact], [estimate]).map(({ requests, tokens, costNano }) => [requests, tokens, costNano])).toEqual([
      [0, -285, -2_500n],
      [0, -285, -2_500n],
    ]);
    const elsewhere = rollupDeltas([exact], [{ ...estimate, provider: 'first-choice' }]);
    expect(elsewhere.map(({ provider, requests, costNano }) => [provider, requests, costNano])).toEqual([
      ['demo', 1, 1_500n],
      ['first-choice', -1, -4_000n],
    ]);
  });
});
