import { describe, expect, it } from '@jest/globals';
import { usageEvent } from '../usage-event.fixture.js';
import { decodeBatch } from './decode-batch.js';

const batch = (...events: unknown[]): string => JSON.stringify({ v: 1, batchId: 'batch-0001', edgeId: 'edge-1', events });
const reasons = (payload: string) => decodeBatch(payload).poison.map(({ reason, detail }) => `${reason} ${detail}`);

describe('decodeBatch', () => {
  it('reads good events and tells their ids in lower case', () => {
    const event = usageEvent();
    const shouting = { ...event, id: event.id.toUpperCase(), tenantId: event.tenantId.toUpperCase() };
    expect(decodeBatch(batch(shouting))).toEqual({ batchId: 'batch-0001', events: [event], poison: [] });
  });

  it.each([
    ['no JSON', '{"v":1', 'malformed_batch not JSON'],
    ['another kind of JSON', '[]', 'malformed_batch batch: invalid_type'],
    ['null', 'null', 'malformed_batch batch: invalid_type'],
    ['a later version', '{"v":2}', 'unknown_version v: 2'],
    ['too many events', batch(...Array.from({ length: 1_025 }, () => 1)), 'malformed_batch events: too_big'],
  ])('takes %s as one poison', (_what, payload, expected) => {
    expect(reasons(payload)).toEqual([expected]);
  });

  it.each([
    ['negative tokens', { meters: { inputTokens: -1, outputTokens: 0 } }, 'invalid_event meters.inputTokens: too_small'],
    ['more tokens than a column holds', { meters: { inputTokens: 2 ** 31, outputTokens: 0 } }, 'invalid_event meters: out of range'],
    ['an id without a time', { id: '00000000-0000-4000-8000-000000000000' }, 'invalid_event id: not a UUIDv7'],
    ['a cost that is no whole number', { costNano: '1.5' }, 'invalid_event costNano: invalid_format'],
    ['a later version', { v: 3 }, 'unknown_version v: 3'],
  ])('sorts out an event with %s and keeps its neighbours', (_what, change, expected) => {
    const [first, last] = [usageEvent(), usageEvent()];
    const payload = batch(first, { ...usageEvent(), ...change }, last);
    expect(decodeBatch(payload).events).toEqual([first, last]);
    expect(reasons(payload)).toEqual([expected]);
  });

  it('never repeats a value in what goes into logs', () => {
    const poisoned = batch({ ...usageEvent(), modelAlias: 'canary'.repeat(100), errorCode: 'canary'.repeat(20) });
    expect(JSON.stringify(decodeBatch(poisoned).poison.map(({ detail }) => detail))).not.toContain('canary');
  });
});
