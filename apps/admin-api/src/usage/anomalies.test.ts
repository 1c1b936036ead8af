import { describe, expect, it } from '@jest/globals';
import { seeded } from '@omg/testkit/properties';
import { dailyAnomalies, judgedDays } from './anomalies.js';

const DAY_MS = 86_400_000;

function find(values: number[], nowDay = values.length, sensitivity = 3) {
  const days = judgedDays({ period: '', startMs: 0, endMs: values.length * DAY_MS, timezone: 'UTC' }, nowDay * DAY_MS);
  return dailyAnomalies({ kind: 'tenant', id: 'a', label: 'a', values }, { metric: 'cost', sensitivity, firstDay: 14, days });
}

const steady = [10, 11, 9, 10, 12, 10, 9, 11, 10, 10, 9, 10, 11, 10];

describe('anomalies', () => {
  it('flag a spike and a drop against the median of the 14 days before', () => {
    expect(find([...steady, 30])).toMatchObject([{ direction: 'spike', value: 30, expected: 10, date: '1970-01-15T00:00:00Z' }]);
    expect(find([...steady, 1])).toMatchObject([{ direction: 'drop', value: 1, expected: 10 }]);
    expect(find([...steady, 11])).toEqual([]);
  });

  it('are not fooled by one earlier outlier, as a mean and a standard deviation would be', () => {
    expect(find([...steady.slice(0, 13), 500, 30])).toMatchObject([{ direction: 'spike', value: 30 }]);
  });

  it('never call a day that is not over a drop', () => {
    expect(find([...steady, 1], 14)).toEqual([]);
    expect(find([...steady, 30], 14)).toHaveLength(1);
  });

  it('need a week of history since the first use, and some volume', () => {
    expect(find([...Array.from({ length: 9 }, () => 0), 1, 1, 1, 1, 1, 50])).toEqual([]);
    expect(find([...Array.from({ length: 6 }, () => 0), 1, 1, 1, 1, 1, 1, 1, 1, 50])).toHaveLength(1);
    expect(find([...Array.from({ length: 14 }, () => 0.001), 0.09])).toEqual([]);
  });

  it('do not flag noise of a flat series: 5 % of the median is the least deviation', () => {
    expect(find([...Array.from({ length: 14 }, () => 10), 11])).toEqual([]);
    expect(find([...Array.from({ length: 14 }, () => 10), 11.6])).toHaveLength(1);
  });

  it('equal medians and deviations that are computed plainly, whatever the values are', () => {
    const random = seeded();
    for (let round = 0; round < 300; round++) {
      // Few different values, so that equal ones leave and enter the window.
      const values = Array.from({ length: 5 + Math.floor(random() * 40) }, () => Math.floor(random() * 6) ** 3);
      const found = find(values, values.length, 1);
      expect(found.map(({ date, expected, score }) => [Date.parse(date) / DAY_MS, expected, score])).toEqual(plainly(values));
    }
  });
});

/** Days from the 14th on with a score of at least one, as the rule in anomalies.ts says it. */
function plainly(values: number[]): [number, number, number][] {
  const found: [number, number, number][] = [];
  const firstActive = values.findIndex((value) => value > 0);
  for (let day = 14; day < values.length; day++) {
    const history = values.slice(Math.max(day - 14, firstActive), day);
    if (firstActive < 0 || history.length < 7 || firstActive > day) continue;
    const expected = median(history);
    const deviation = 1.4826 * median(history.map((value) => Math.abs(value - expected)));
    const score = Math.abs(values[day]! - expected) / Math.max(deviation, 0.05 * expected, 0.01);
    if (score >= 1 && Math.max(values[day]!, expected) >= 0.1) found.push([day, expected, Math.round(score * 1e6) / 1e6]);
  }
  return found;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
