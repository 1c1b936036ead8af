import { Prisma, type PrismaClient, type PrismaTx } from '@omg/storage';
import { dayPieces, type DayPiece, type ReportRange } from './report-range.js';
import { builtDays } from './usage-days.queries.js';

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

export interface UsageSum {
  /** Index into `boundariesMs`. */
  group: number;
  /** Tenant, model, key or user id; empty for `none`. */
  id: string;
  requests: bigint;
  tokens: bigint;
  costNano: bigint;
  unpriced: bigint;
}

type Kind = 'total' | 'tenant' | 'model' | 'tenant_model' | 'api_key';

/** Runs the reads of one report on one snapshot. */
export function inSnapshot<T>(prisma: PrismaClient, work: (tx: PrismaTx) => Promise<T>): Promise<T> {
  return prisma.$transaction(work, { isolationLevel: Prisma.TransactionIsolationLevel.RepeatableRead, timeout: 30_000 });
}

/** Exact sums of the range: built days from their sums, everything else from the rollups. Call it inside `inSnapshot`. */
export async function sumUsage(tx: PrismaTx, query: UsageQuery): Promise<UsageSum[]> {
  const { range } = query;
  const pieces = dayPieces(range);
  const marks = await builtDays(tx, range.timezone, pieces[0]!.dayStartMs, range.endMs);
  const { days, stretches } = plan(pieces, query.boundariesMs, marks);
  const parts: Prisma.Sql[] = [];
  if (days.length > 0) parts.push(fromDays(query, days));
  for (const stretch of stretches) parts.push(fromRollups(query, stretch));
  if (parts.length === 0) return [];
  const by = query.by === 'user' ? Prisma.sql`k.owner_user_id::text` : Prisma.sql`u.id`;
  const keys = query.by === 'user' ? Prisma.sql`JOIN api_keys k ON k.id = u.id::uuid AND k.owner_user_id IS NOT NULL` : Prisma.empty;
  // One text instead of one object per row: the driver's work per row and column is most of the time of a wide report.
  const [packed] = await tx.$queryRaw<{ text: string | null }[]>`
    SELECT string_agg(concat_ws(${FIELD_SEPARATOR}, grp, requests, tokens, cost, unpriced, id), ${ROW_SEPARATOR}) AS text FROM (
      SELECT u.grp, ${by} AS id, sum(u.requests)::bigint AS requests, sum(u.tokens)::bigint AS tokens, sum(u.cost)::bigint AS cost, sum(u.unpriced)::bigint AS unpriced
      FROM (${Prisma.join(parts, ' UNION ALL ')}) u ${keys} GROUP BY 1, 2
    ) sums`;
  return unpack(packed?.text ?? '');
}

/** ASCII's own separators: ids and aliases hold no control characters. */
const FIELD_SEPARATOR = '\u001f';
const ROW_SEPARATOR = '\u001e';

/** Sorted by group; the order of ids within one is open. */
function unpack(text: string): UsageSum[] {
  if (text === '') return [];
  const sums = text.split(ROW_SEPARATOR).map((row): UsageSum => {
    const [group, requests, tokens, cost, unpriced, id] = row.split(FIELD_SEPARATOR);
    return { group: Number(group), id: id ?? '', requests: BigInt(requests!), tokens: BigInt(tokens!), costNano: BigInt(cost!), unpriced: BigInt(unpriced!) };
  });
  return sums.sort((a, b) => a.group - b.group);
}

interface Stretch {
  fromMs: number;
  toMs: number;
}

/** Which days can be taken whole, and the remaining stretches of time, merged. A day that a boundary cuts is not whole. */
function plan(pieces: readonly DayPiece[], boundariesMs: readonly number[], marks: ReadonlyMap<number, number>): { days: number[]; stretches: Stretch[] } {
  const cuts = new Set(boundariesMs);
  const days: number[] = [];
  const stretches: Stretch[] = [];
  let next = 0;
  for (const piece of pieces) {
    while (next < boundariesMs.length && boundariesMs[next]! <= piece.dayStartMs) next++;
    const isCut = next < boundariesMs.length && boundariesMs[next]! < piece.dayEndMs && cuts.has(boundariesMs[next]!);
    const isWhole = piece.fromMs === piece.dayStartMs && piece.toMs === piece.dayEndMs;
    // The mark's end is compared as well: a zone whose rules changed since has days of another length.
    if (isWhole && !isCut && marks.get(piece.dayStartMs) === piece.dayEndMs) {
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
  const group = groupOf(Prisma.sql`starts_at`, query.boundariesMs);
  const id = query.by === 'none' ? Prisma.sql`''` : query.by === 'tenant' ? Prisma.sql`tenant_id::text` : Prisma.sql`entity`;
  const filters: Prisma.Sql[] = [];
  if (query.tenantIds) filters.push(Prisma.sql`AND tenant_id = ANY(${[...query.tenantIds]}::uuid[])`);
  if (query.modelAliases && kind !== 'api_key') filters.push(Prisma.sql`AND entity = ANY(${[...query.modelAliases]}::text[])`);
  if (query.apiKeyIds) filters.push(Prisma.sql`AND entity = ANY(${[...query.apiKeyIds]}::text[])`);
  const [first, last] = [new Date(days[0]!), new Date(days.at(-1)!)];
  const gaps = isContiguous(days, query) ? Prisma.empty : Prisma.sql`AND starts_at = ANY(${days.map((ms) => new Date(ms).toISOString())}::timestamptz[])`;
  return Prisma.sql`
    SELECT ${group} AS grp, ${id} AS id, sum(requests) AS requests, sum(tokens) AS tokens, sum(cost_nano) AS cost, sum(unpriced) AS unpriced
    FROM usage_days WHERE zone = ${query.range.timezone} AND kind = ${kind} AND starts_at >= ${first} AND starts_at <= ${last} ${gaps} ${joinAll(filters)}
    GROUP BY 1, 2`;
}

/** True when the days follow each other, so that a range finds exactly them. */
function isContiguous(days: readonly number[], query: UsageQuery): boolean {
  const between = dayPieces({ startMs: days[0]!, endMs: days.at(-1)! + 1, timezone: query.range.timezone });
  return between.length === days.length;
}

function fromRollups(query: UsageQuery, stretch: Stretch): Prisma.Sql {
  const group = groupOf(Prisma.sql`bucket`, query.boundariesMs);
  const columns = {
    none: Prisma.sql`''`,
    tenant: Prisma.sql`tenant_id::text`,
    model: Prisma.sql`model_alias::text`,
    api_key: Prisma.sql`api_key_id::text`,
    user: Prisma.sql`api_key_id::text`,
  };
  const filters: Prisma.Sql[] = [];
  if (query.tenantIds) filters.push(Prisma.sql`AND tenant_id = ANY(${[...query.tenantIds]}::uuid[])`);
  if (query.modelAliases) filters.push(Prisma.sql`AND model_alias = ANY(${[...query.modelAliases]}::text[])`);
  if (query.apiKeyIds) filters.push(Prisma.sql`AND api_key_id = ANY(${[...query.apiKeyIds]}::uuid[])`);
  return Prisma.sql`
    SELECT ${group} AS grp, ${columns[query.by]} AS id, sum(requests) AS requests, sum(input_tokens + output_tokens) AS tokens, sum(cost_nano) AS cost, sum(unpriced) AS unpriced
    FROM usage_rollups WHERE bucket >= ${new Date(stretch.fromMs)} AND bucket < ${new Date(stretch.toMs)} ${joinAll(filters)}
    GROUP BY 1, 2`;
}

function joinAll(parts: readonly Prisma.Sql[]): Prisma.Sql {
  return parts.length === 0 ? Prisma.empty : Prisma.join([...parts], ' ');
}
