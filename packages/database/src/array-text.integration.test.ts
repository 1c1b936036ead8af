import { cleanUp, createTestDatabase } from '@omg/testkit';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import pg from 'pg';
import { plainArray, textArray, timeArray } from './array-text.js';

let client: pg.Client;

beforeAll(async () => {
  client = new pg.Client({ connectionString: (await createTestDatabase()).url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await cleanUp();
});

describe('array parameters', () => {
  it('bring every text and null to Postgres as it is', async () => {
    // Postgres has no NUL, and a lone surrogate is no UTF-8.
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', 'NULL', 'null', '{}', '"', '\\', '\\"', ',', ' a ', '{"a":"b\\\\c\\"d"}', '\n'),
    );
    const storable = text.filter((value) => !value.includes('\0') && value.isWellFormed());
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(storable)), async (values) => {
        const { rows } = await client.query<{ back: unknown[] }>('SELECT $1::text[] AS back', [textArray(values)]);
        expect(rows[0]!.back).toEqual(values);
      }),
    );
  });

  it('bring ids, numbers, truth values and times to Postgres as they are', async () => {
    const values = [
      ['0f0e0d0c-0b0a-4908-8706-050403020100', null],
      [9_007_199_254_740_993n, -1n, null],
      [1, null, -2_147_483_648],
      [true, false, null],
      ['2026-11-23T08:00:00.123Z', null],
    ];
    const { rows } = await client.query<Record<string, unknown>>(
      'SELECT $1::uuid[]::text[] AS a, $2::bigint[]::text[] AS b, $3::int[] AS c, $4::boolean[] AS d, $5::timestamptz[] AS e, $6::int[] AS f',
      [...values, []].map(plainArray),
    );
    expect(rows[0]).toEqual({
      a: values[0],
      b: ['9007199254740993', '-1', null],
      c: values[2],
      d: values[3],
      e: [new Date('2026-11-23T08:00:00.123Z'), null],
      f: [],
    });
  });

  it('bring instants to Postgres, equal ones beside each other and apart', async () => {
    const times = [1_795_000_000_123, 1_795_000_000_123, 0, 1_795_000_000_123, -1];
    const { rows } = await client.query<{ back: Date[] }>('SELECT $1::timestamptz[] AS back', [timeArray(times)]);
    expect(rows[0]!.back.map((time) => time.getTime())).toEqual(times);
  });
});
