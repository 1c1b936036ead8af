import { Prisma, type PrismaTx } from '@omg/database';
import { FIELD_SEPARATOR, ROW_SEPARATOR, sourcesOf, type UsageQuery } from './usage.queries.js';

export type Metric = 'cost' | 'requests' | 'tokens';

/** One value per group for each id; the cost in USD. */
export type Series = ReadonlyMap<string, Float64Array>;

/** Ranges whose closed days are kept, and how many values they may have in all: eight bytes each. */
const KEPT_MAX = 16;
const KEPT_VALUES_MAX = 4_000_000;

/**
 * Series of all entities at once. What closed days hold is kept in memory under the builds that it was read from, as they do
 * not change under those: asked again, the report reads the running day only.
 */
export class SeriesReader {
  private readonly kept = new Map<string, { series: Series; size: number }>();
  private size = 0;

  /** Call it inside `inSnapshot`. */
  async read(tx: PrismaTx, query: UsageQuery & { by: 'tenant' | 'model' | 'api_key' | 'user' }, metric: Metric): Promise<Series> {
    // A user's series are those of his keys, added up: joining thousands of series is less work than joining their days.
    if (query.by === 'user') return ofOwners(tx, await this.read(tx, { ...query, by: 'api_key' }, metric));
    const { days, stretches } = await sourcesOf(tx, query);
    const groups = query.boundariesMs.length;
    const closed = days ? await this.closedDays(tx, query, metric, days) : new Map<string, Float64Array>();
    if (stretches.length === 0) return closed;
    return added([closed, await readSeries(tx, Prisma.join(stretches, ' UNION ALL '), metric, groups)], groups);
  }

  private async closedDays(tx: PrismaTx, query: UsageQuery, metric: Metric, days: { rows: Prisma.Sql; version: string }): Promise<Series> {
    const { range, by, boundariesMs, tenantIds, modelAliases, apiKeyIds } = query;
    const read = (): Promise<Series> => readSeries(tx, days.rows, metric, boundariesMs.length);
    // Those who see a few tenants only have little to read, and there are many of them.
    if (tenantIds ?? modelAliases ?? apiKeyIds) return read();
    const name = [range.timezone, by, metric, boundariesMs[0], boundariesMs.length, days.version].join(' ');
    const known = this.kept.get(name);
    const series = known?.series ?? (await read());
    this.keep(name, { series, size: series.size * boundariesMs.length });
    return series;
  }

  /** As the last used; the first used go when there are too many. */
  private keep(name: string, kept: { series: Series; size: number }): void {
    if (kept.size > KEPT_VALUES_MAX) return;
    this.drop(name);
    this.kept.set(name, kept);
    this.size += kept.size;
    while (this.kept.size > KEPT_MAX || this.size > KEPT_VALUES_MAX) this.drop(this.kept.keys().next().value!);
  }

  private drop(name: string): void {
    this.size -= this.kept.get(name)?.size ?? 0;
    this.kept.delete(name);
  }
}

/** One text instead of one object per value: see `sumUsage`. */
async function readSeries(tx: PrismaTx, rows: Prisma.Sql, metric: Metric, groups: number): Promise<Series> {
  const value = { cost: Prisma.sql`cost`, requests: Prisma.sql`requests`, tokens: Prisma.sql`tokens` }[metric];
  const [packed] = await tx.$queryRaw<{ text: string | null }[]>`
    SELECT string_agg(concat_ws(${FIELD_SEPARATOR}, id, series), ${ROW_SEPARATOR}) AS text FROM (
      SELECT id, string_agg(grp::text || ':' || ${value}::text, ' ') AS series FROM (${rows}) u GROUP BY 1
    ) entities`;
  return unpackSeries(packed?.text ?? '', groups, metric === 'cost' ? 1e9 : 1);
}

/** Reads digit by digit: there are hundreds of thousands of numbers, and splitting the text would make two strings of each. */
function unpackSeries(text: string, groups: number, unit: number): Series {
  const byId = new Map<string, Float64Array>();
  for (let at = 0; at < text.length;) {
    const idEnd = text.indexOf(FIELD_SEPARATOR, at);
    const rowEnd = text.indexOf(ROW_SEPARATOR, idEnd);
    const end = rowEnd < 0 ? text.length : rowEnd;
    const values = new Float64Array(groups);
    byId.set(text.slice(at, idEnd), values);
    let group = 0;
    let number = 0;
    for (let index = idEnd + 1; index <= end; index++) {
      const digit = index < end ? text.charCodeAt(index) - 48 : -1;
      if (digit >= 0 && digit <= 9) {
        number = number * 10 + digit;
        continue;
      }
      // A colon, which follows 9, ends the group; a space or the row's end ends the value.
      if (digit === 10) group = number;
      else values[group] = values[group]! + number;
      number = 0;
    }
    for (group = 0; group < groups; group++) values[group] = values[group]! / unit;
    at = end + 1;
  }
  return byId;
}

async function ofOwners(tx: PrismaTx, byKey: Series): Promise<Series> {
  const groups = byKey.values().next().value?.length ?? 0;
  const owned = await tx.$queryRaw<{ owner: string; keys: string[] }[]>`
    SELECT owner_user_id AS owner, array_agg(id::text) AS keys FROM api_keys WHERE owner_user_id IS NOT NULL GROUP BY 1`;
  const byOwner = new Map<string, Float64Array>();
  for (const { owner, keys } of owned) {
    const parts = keys.flatMap((key) => byKey.get(key) ?? []);
    if (parts.length > 0) byOwner.set(owner, parts.length === 1 ? parts[0]! : sum(parts, groups));
  }
  return byOwner;
}

/** Leaves what it is given as it is. */
function added(series: readonly Series[], groups: number): Series {
  const all = new Map<string, Float64Array>();
  for (const part of series) for (const [id, values] of part) all.set(id, sum([...(all.has(id) ? [all.get(id)!] : []), values], groups));
  return all;
}

function sum(parts: readonly Float64Array[], groups: number): Float64Array {
  const total = new Float64Array(groups);
  for (const part of parts) for (let group = 0; group < groups; group++) total[group] = total[group]! + part[group]!;
  return total;
}
