import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import { budgetWindow, budgetWindowById, parseBudgetSchedule, type BudgetSchedule } from './budget-window.js';

const HOUR_MS = 3_600_000;
const hours = ({ startMs, endMs }: { startMs: number; endMs: number }): number => (endMs - startMs) / HOUR_MS;
const at = (text: string): number => Date.parse(text);

describe('a calendar window', () => {
  it('has 23 hours on the day when clocks go forward and 25 on the day when they go back', () => {
    expect(hours(budgetWindow('daily', 'Europe/Berlin', at('2026-03-29T12:00:00Z')))).toBe(23);
    expect(hours(budgetWindow('daily', 'Europe/Berlin', at('2026-10-25T12:00:00Z')))).toBe(25);
    expect(hours(budgetWindow('weekly', 'America/New_York', at('2026-03-08T12:00:00Z')))).toBe(7 * 24 - 1);
    expect(hours(budgetWindow('calendar_month', 'Europe/Berlin', at('2026-10-31T12:00:00Z')))).toBe(31 * 24 + 1);
  });

  it('begins at the first moment of a day that has no midnight', () => {
    // In Cairo clocks jump from 00:00 to 01:00 on the last Friday of April.
    const day = budgetWindow('daily', 'Africa/Cairo', at('2026-04-24T12:00:00Z'));
    expect([day.id, new Date(day.startMs).toISOString(), hours(day)]).toEqual(['daily:2026-04-24', '2026-04-23T22:00:00.000Z', 23]);
  });

  it('changes at local midnight, to the millisecond', () => {
    const midnight = at('2026-11-30T23:00:00Z');
    expect(budgetWindow('calendar_month', 'Europe/Berlin', midnight - 1).id).toBe('calendar_month:2026-11-01');
    expect(budgetWindow('calendar_month', 'Europe/Berlin', midnight).id).toBe('calendar_month:2026-12-01');
    expect(budgetWindow('weekly', 'UTC', at('2026-11-22T23:59:59.999Z')).id).toBe('weekly:2026-11-16');
    expect(budgetWindow('weekly', 'UTC', at('2026-11-23T00:00:00Z')).id).toBe('weekly:2026-11-23');
  });

  it('holds its moment, meets the next one without gap or overlap, and is found by its id, in any zone at any time', () => {
    const zones = [
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'America/St_Johns',
      'Africa/Cairo',
      'Asia/Kathmandu',
      'Australia/Lord_Howe',
      'Pacific/Apia',
      'Pacific/Chatham',
    ];
    const schedules: BudgetSchedule[] = ['calendar_month', 'weekly', 'daily'];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...schedules),
        fc.integer({ min: at('2024-01-01T00:00:00Z'), max: at('2031-01-01T00:00:00Z') }),
        (zone, schedule, nowMs) => {
          const window = budgetWindow(schedule, zone, nowMs);
          expect(window.startMs <= nowMs && nowMs < window.endMs).toBe(true);
          expect(budgetWindow(schedule, zone, window.endMs).startMs).toBe(window.endMs);
          expect(budgetWindow(schedule, zone, window.startMs)).toEqual(window);
          expect(budgetWindowById(window.id, zone)).toEqual(window);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('a rolling window', () => {
  it('is N x 24 hours that end now, whatever the clocks did', () => {
    const window = budgetWindow('rolling_7d', 'Europe/Berlin', at('2026-10-26T12:00:00Z'));
    expect([window.id, hours(window), window.endMs]).toEqual(['rolling_7d', 7 * 24, at('2026-10-26T12:00:00Z')]);
    expect(budgetWindowById('rolling_7d', 'UTC')).toBeUndefined();
  });
});

describe('a schedule', () => {
  it.each([
    ['daily', 'daily'],
    [' Weekly ', 'weekly'],
    ['rolling_7', 'rolling_7d'],
    ['rolling_', 'rolling_30d'],
    ['rolling_366d', 'rolling_366d'],
    ['rolling_0', undefined],
    ['rolling_367d', undefined],
    ['monthly', undefined],
    ['', undefined],
  ])('%j is read as %j', (text, schedule) => {
    expect(parseBudgetSchedule(text)).toBe(schedule);
  });

  it('of an unknown timezone is an error, and an id that no schedule makes is none', () => {
    expect(() => budgetWindow('daily', 'Mars/Olympus', 0)).toThrow('Mars/Olympus');
    for (const id of ['daily', 'daily:2026-13-01', 'weekly:2026-11-17', 'hourly:2026-11-17', 'calendar_month:2026-11-02'])
      expect(budgetWindowById(id, 'UTC')).toBeUndefined();
  });
});
