import { describe, expect, it } from '@jest/globals';
import { dailyAnomalies, median } from './anomalies.js';

const DAY_MS = 86_400_000;

function find(values: number[], nowDay = values.length, sensitivity = 3) {
  const dayStartsMs = values.map((_value, day) => day * DAY_MS);
  return dailyAnomalies(
    { kind: 'tenant', id: 'a', label: 'a', dayStartsMs, values },
    { metric: 'cost', sensitivity, firstDay: 14, timezone: 'UTC', nowMs: nowDay * DAY_MS },
  );
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

  it('use the median', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  });
});
