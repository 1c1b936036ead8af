import { Prisma, type PrismaClient, type PrismaTx } from '@omg/database';
import { dayPieces, type DayPiece, type ReportRange } from './report-range.js';
import type { Sums } from './totals.js';
import { builtDays, type DayMark } from './usage-days.queries.js';

/** What a report sums over, and what it keeps apart. */
export interface UsageQuery {
  range: Pick<ReportRange, 'startMs' | 'endMs' | 'timezone'>;
  /** Starts of the groups in time, ascending; the first is at or before the range. One entry: no split. */
  boundariesMs: readonly number[];
  by: 'none' | 'tenant' | 'model' | 'api_key' | 'user';
  /** Absent: all. An empty list: nothing. */
  tenantIds?: readonly string[] | undefined;
  modelAliases?: readonly string[] | undefined;
  apiKeyIds?: readonly string[] | undefined;
}

export interface UsageSum extends Sums {
  /** Index into `boundariesMs`. */
  group: number;
  /** Tenant, model, key or user id; empty for `none`. */
  id: string;
}

type Kind = 'total' | 'tenant' | 'model' | 'tenant_model' | 'api_key';

/**
 * What the transaction of a report sets for itself. A just-in-time compiled plan and workers cost more than these queries take, and
 * the sums of a day for every tenant and model do not fit into 4 MiB.
 */
const REPORT_WORK_MEM = '32MB';

/** Runs the reads of one report on one snapshot. */
export function inSnapshot<T>(prisma: PrismaClient, work: (tx: PrismaTx) => Promise<T>): Promise<T> {
  return prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`SELECT set_config('jit', 'off', true), set_config('work_mem', ${REPORT_WORK_MEM}, true),
        set_config('max_parallel_workers_per_gather', '0', true)`;
      return work(tx);
    },
    { isolationLevel: Prisma.TransactionIsolationLevel.RepeatableRead, timeout: 30_000 },
  );
}

/** Exact sums of the range: built days from their sums, everything else from the rollups. Call it inside `inSnapshot`. */
export async function sumUsage(tx: PrismaTx, query: UsageQuery): Promise<UsageSum[]> {
  const source = await sourceOf(tx, query);
  if (!source) return [];
  // One text instead of one object per row: the driver's work per row and column is most of the time of a wide report.
  const sums = isSummed(query)
    ? source
    : Prisma.sql`SELECT grp, id, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost) AS cost, sum(unpriced) AS unpriced FROM (${source}) u GROUP BY 1, 2`;
  const [packed] = await tx.$queryRaw<{ text: string | null }[]>`
    SELECT string_agg(concat_ws(${FIELD_SEPARATOR}, grp, requests, tokens, cost, unpriced, id), ${FIELD_SEPARATOR}) AS text FROM (${sums}) sums`;
  return packed?.text ? unpack(packed.text) : [];
}

/** In the order of the groups; the order of ids within one is open. */
function unpack(text: string): UsageSum[] {
  const fields = text.split(FIELD_SEPARATOR);
  const sums: UsageSum[] = [];
  for (let at = 0; at + 5 < fields.length; at += 6)
    sums.push({
      group: Number(fields[at]),
      id: fields[at + 5]!,
      requests: Number(fields[at + 1]),
      tokens: Number(fields[at + 2]),
      costNano: BigInt(fields[at + 3]!),
      unpriced: Number(fields[at + 4]),
    });
  return sums.sort((a, b) => a.group - b.group);
}

/** ASCII's own separators: ids and aliases hold no control characters. */
export const FIELD_SEPARATOR = '\u001f';
export const ROW_SEPARATOR = '\u001e';

/** Whether the rows of `sourceOf` are sums already: one a day for each id, when ids are what the day sums are kept by. */
function isSummed(query: UsageQuery): boolean {
  if (query.boundariesMs.length === 1) return false;
  const days = dayPieces(query.range);
  if (days.length !== query.boundariesMs.length || days.some((day, index) => day.dayStartMs !== query.boundariesMs[index])) return false;
  if (query.by === 'tenant') return kindOf(query) === 'tenant' || (kindOf(query) === 'tenant_model' && query.modelAliases?.length === 1);
  return query.by === 'api_key' && query.modelAliases === undefined;
}

/** Rows (grp, id, requests, tokens, cost, unpriced) that are to be summed; undefined: there are none. */
async function sourceOf(tx: PrismaTx, query: UsageQuery): Promise<Prisma.Sql | undefined> {
  const { days, stretches } = await sourcesOf(tx, query);
  const parts = days ? [days.rows, ...stretches] : stretches;
  return parts.length === 0 ? undefined : Prisma.join(parts, ' UNION ALL ');
}

export interface UsageSources {
  /** Built days; the version names them and the builds that they come from. */
  days: { rows: Prisma.Sql; version: string } | undefined;
  stretches: Prisma.Sql[];
}

/** The same rows, those that cannot change any more apart from the rest. */
export async function sourcesOf(tx: PrismaTx, query: UsageQuery): Promise<UsageSources> {
  const { range } = query;
  const pieces = dayPieces(range);
  const marks = await builtDays(tx, range.timezone, pieces[0]!.dayStartMs, range.endMs);
  const { days, stretches } = plan(pieces, query.boundariesMs, marks);
  return {
    days: days.length === 0 ? undefined : { rows: fromDays(query, days), version: days.map((day) => `${day}@${marks.get(day)!.build}`).join() },
    stretches: stretches.map((stretch) => fromRollups(query, stretch)),
  };
}

interface Stretch {
  fromMs: number;
  toMs: number;
}

/** Which days can be taken whole, and the remaining stretches of time, merged. A day that a boundary cuts is not whole. */
function plan(pieces: readonly DayPiece[], boundariesMs: readonly number[], marks: ReadonlyMap<number, DayMark>): { days: number[]; stretches: Stretch[] } {
  const cuts = new Set(boundariesMs);
  const days: number[] = [];
  const stretches: Stretch[] = [];
  let next = 0;
  for (const piece of pieces) {
    while (next < boundariesMs.length && boundariesMs[next]! <= piece.dayStartMs) next++;
    const isCut = next < boundariesMs.length && boundariesMs[next]! < piece.dayEndMs && cuts.has(boundariesMs[next]!);
    const isWhole = piece.fromMs === piece.dayStartMs && piece.toMs === piece.dayEndMs;
    // The mark's end is compared as well: a zone whose rules changed since has days of another length.
    if (isWhole && !isCut && marks.get(piece.dayStartMs)?.endMs === piece.dayEndMs) {
      days.push(piece.dayStartMs);
      continue;
    }
    const last = stretches.at(-1);
    if (last && last.toMs === piece.fromMs) last.toMs = piece.toMs;
    else stretches.push({ fromMs: piece.fromMs, toMs: piece.toMs });
  }
  return { days, stretches };
}

function kindOf(query: UsageQuery): Kind {
  if (query.by === 'api_key' || query.by === 'user' || query.apiKeyIds) return 'api_key';
  const model = query.by === 'model' || query.modelAliases !== undefined;
  const tenant = query.by === 'tenant' || query.tenantIds !== undefined;
  return model ? (tenant ? 'tenant_model' : 'model') : tenant ? 'tenant' : 'total';
}

function groupOf(column: Prisma.Sql, boundariesMs: readonly number[]): Prisma.Sql {
  if (boundariesMs.length === 1) return Prisma.sql`0`;
  return Prisma.sql`width_bucket(${column}, ${boundariesMs.map((ms) => new Date(ms).toISOString())}::timestamptz[]) - 1`;
}

function fromDays(query: UsageQuery, days: readonly number[]): Prisma.Sql {
  const kind = kindOf(query);
  const group = groupOf(Prisma.sql`d.starts_at`, query.boundariesMs);
  const id = {
    none: Prisma.sql`''`,
    tenant: Prisma.sql`d.tenant_id`,
    model: Prisma.sql`d.entity`,
    api_key: Prisma.sql`d.entity`,
    user: Prisma.sql`d.entity`,
  }[query.by];
  const filters: Prisma.Sql[] = [];
  if (query.tenantIds) filters.push(Prisma.sql`AND d.tenant_id = ANY(${[...query.tenantIds]}::uuid[])`);
  if (query.modelAliases && kind !== 'api_key') filters.push(Prisma.sql`AND d.entity = ANY(${[...query.modelAliases]}::text[])`);
  if (query.apiKeyIds) filters.push(Prisma.sql`AND d.entity = ANY(${[...query.apiKeyIds]}::text[])`);
  const [first, last] = [new Date(days[0]!), new Date(days.at(-1)!)];
  const gaps = isContiguous(days, query) ? Prisma.empty : Prisma.sql`AND d.starts_at = ANY(${days.map((ms) => new Date(ms).toISOString())}::timestamptz[])`;
  const rows = Prisma.sql`
    SELECT ${group} AS grp, ${id} AS id, d.requests, d.tokens, d.cost_nano AS cost, d.unpriced
    FROM usage_days d WHERE d.zone = ${query.range.timezone} AND d.kind = ${kind} AND d.starts_at >= ${first} AND d.starts_at <= ${last} ${gaps} ${joinAll(filters)}`;
  if (query.by !== 'user') return rows;
  // Keys are summed before their owners are looked up: there are many days to a key.
  return Prisma.sql`
    SELECT grp, k.owner_user_id AS id, requests, tokens, cost, unpriced FROM (
      SELECT grp, id, sum(requests)::bigint AS requests, sum(tokens)::bigint AS tokens, sum(cost)::bigint AS cost, sum(unpriced)::bigint AS unpriced
      FROM (${rows}) days GROUP BY 1, 2
    ) keys JOIN api_keys k ON k.id = keys.id::uuid AND k.owner_user_id IS NOT NULL`;
}

/** True when the days follow each other, so that a range finds exactly them. */
function isContiguous(days: readonly number[], query: UsageQuery): boolean {
  const between = dayPieces({ startMs: days[0]!, endMs: days.at(-1)! + 1, timezone: query.range.timezone });
  return between.length === days.length;
}

/** Summed by what it is read by before ids become text: there may be a hundred rows for each. */
function fromRollups(query: UsageQuery, stretch: Stretch): Prisma.Sql {
  const group = groupOf(Prisma.sql`r.bucket`, query.boundariesMs);
  const [id, shown] = {
    none: [Prisma.sql`''`, Prisma.sql`id`],
    tenant: [Prisma.sql`r.tenant_id`, Prisma.sql`id`],
    model: [Prisma.sql`r.model_alias`, Prisma.sql`id`],
    api_key: [Prisma.sql`r.api_key_id`, Prisma.sql`id::text`],
    user: [Prisma.sql`k.owner_user_id`, Prisma.sql`id`],
  }[query.by];
  const owners = query.by === 'user' ? Prisma.sql`JOIN api_keys k ON k.id = r.api_key_id AND k.owner_user_id IS NOT NULL` : Prisma.empty;
  const filters: Prisma.Sql[] = [];
  if (query.tenantIds) filters.push(Prisma.sql`AND r.tenant_id = ANY(${[...query.tenantIds]}::uuid[])`);
  // Rollups are found by tenant: an index by key would be written with every event.
  else if (query.apiKeyIds)
    filters.push(Prisma.sql`AND r.tenant_id = ANY(ARRAY(SELECT tenant_id FROM api_keys WHERE id = ANY(${[...query.apiKeyIds]}::uuid[])))`);
  if (query.modelAliases) filters.push(Prisma.sql`AND r.model_alias = ANY(${[...query.modelAliases]}::text[])`);
  if (query.apiKeyIds) filters.push(Prisma.sql`AND r.api_key_id = ANY(${[...query.apiKeyIds]}::uuid[])`);
  return Prisma.sql`
    SELECT grp, ${shown!} AS id, requests, tokens, cost, unpriced FROM (
      SELECT ${group} AS grp, ${id!} AS id, sum(r.requests)::bigint AS requests, sum(r.input_tokens + r.output_tokens)::bigint AS tokens,
        sum(r.cost_nano)::bigint AS cost, sum(r.unpriced)::bigint AS unpriced
      FROM usage_rollups r ${owners} WHERE r.bucket >= ${new Date(stretch.fromMs)} AND r.bucket < ${new Date(stretch.toMs)} ${joinAll(filters)}
      GROUP BY 1, 2
    ) stretch`;
}

function joinAll(parts: readonly Prisma.Sql[]): Prisma.Sql {
  return parts.length === 0 ? Prisma.empty : Prisma.join([...parts], ' ');
}
