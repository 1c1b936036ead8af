import { ADVISORY_LOCKS, type PrismaClient, type PrismaTx } from '@omg/database';
import { dayPieces } from './report-range.js';

/**
 * Closed local days, summed once per timezone (see the migration `usage_days` for the protocol with late rows).
 *
 * A day is built two hours after its end; until then, and after a late row, reports sum it from the rollups. So a report is
 * always exact, and reads a few thousand day rows instead of millions of rollups.
 */

const CLOSED_AFTER_MS = 2 * 3_600_000;
/** As far back as any report looks: 366 days of a period, plus the history that anomalies need. */
export const DAYS_KEPT = 400;
const DAY_MS = 86_400_000;

export interface LocalDay {
  startMs: number;
  endMs: number;
}

/** Closed days of a zone without a mark, newest first, since the first rollup. */
export async function missingDays(prisma: PrismaClient, zone: string): Promise<LocalDay[]> {
  const [bounds] = await prisma.$queryRaw<
    { first: Date | null; now: Date }[]
  >`SELECT (SELECT min(bucket) FROM usage_rollups) AS first, clock_timestamp() AS now`;
  if (!bounds?.first) return [];
  const nowMs = bounds.now.getTime();
  const startMs = Math.max(bounds.first.getTime(), nowMs - DAYS_KEPT * DAY_MS);
  const built = await prisma.usageDayBuilt.findMany({ where: { zone }, select: { startsAt: true } });
  const known = new Set(built.map(({ startsAt }) => startsAt.getTime()));
  return dayPieces({ startMs, endMs: nowMs, timezone: zone })
    .filter((piece) => piece.dayEndMs <= nowMs - CLOSED_AFTER_MS && !known.has(piece.dayStartMs))
    .map((piece) => ({ startMs: piece.dayStartMs, endMs: piece.dayEndMs }))
    .reverse();
}

/** Sums one day anew. Late writers wait, or are waited for; they take the mark away after us. */
export async function buildDay(prisma: PrismaClient, zone: string, day: LocalDay): Promise<void> {
  const start = new Date(day.startMs);
  const end = new Date(day.endMs);
  await prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.space}::int, ${ADVISORY_LOCKS.usageDays}::int)`;
      await tx.$executeRaw`DELETE FROM usage_days WHERE zone = ${zone} AND starts_at >= ${start} AND starts_at < ${end}`;
      await tx.$executeRaw`
        INSERT INTO usage_days (zone, kind, starts_at, tenant_id, entity, requests, tokens, cost_nano, unpriced)
        SELECT ${zone},
          CASE WHEN grouping(api_key_id) = 0 THEN 'api_key' WHEN grouping(tenant_id, model_alias) = 0 THEN 'tenant_model'
            WHEN grouping(tenant_id) = 0 THEN 'tenant' WHEN grouping(model_alias) = 0 THEN 'model' ELSE 'total' END,
          ${start}, coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), coalesce(api_key_id::text, model_alias, ''),
          sum(requests), sum(input_tokens + output_tokens), sum(cost_nano), sum(unpriced)
        FROM usage_rollups WHERE bucket >= ${start} AND bucket < ${end}
        GROUP BY GROUPING SETS ((), (tenant_id), (model_alias), (tenant_id, model_alias), (tenant_id, api_key_id))
        HAVING count(*) > 0`;
      await tx.$executeRaw`INSERT INTO usage_days_built (zone, starts_at, ends_at) VALUES (${zone}, ${start}, ${end}) ON CONFLICT (zone, starts_at) DO UPDATE SET ends_at = EXCLUDED.ends_at, built_at = now()`;
    },
    { timeout: 60_000, maxWait: 10_000 },
  );
}

export interface DayMark {
  endMs: number;
  /** Another one for every time that the day is summed: what was read under it stays what it was. */
  build: string;
}

/** Days in [from, to) that are built, by their start. Read in the transaction of the report, so that marks and sums agree. */
export async function builtDays(tx: PrismaTx, zone: string, fromMs: number, toMs: number): Promise<Map<number, DayMark>> {
  const rows = await tx.$queryRaw<{ starts_at: Date; ends_at: Date; build: string }[]>`
    SELECT starts_at, ends_at, extract(epoch FROM built_at)::text AS build FROM usage_days_built
    WHERE zone = ${zone} AND starts_at >= ${new Date(fromMs)} AND starts_at < ${new Date(toMs)}`;
  return new Map(rows.map((row) => [row.starts_at.getTime(), { endMs: row.ends_at.getTime(), build: row.build }]));
}

/** Names of zones that are remembered: whoever may read reports may write one, in any mixture of cases. */
const ZONES_KEPT = 100;

/** Drops what no report reads any more: old days, and zones that nobody asked for lately. */
export async function dropOldDays(prisma: PrismaClient, zones: readonly string[]): Promise<void> {
  await prisma.$executeRaw`DELETE FROM usage_zones WHERE zone NOT IN (SELECT zone FROM usage_zones ORDER BY last_used_at DESC LIMIT ${ZONES_KEPT})`;
  const cutoff = new Date(Date.now() - (DAYS_KEPT + 2) * DAY_MS);
  await prisma.$transaction([
    prisma.usageDayBuilt.deleteMany({ where: { OR: [{ startsAt: { lt: cutoff } }, { zone: { notIn: [...zones] } }] } }),
    prisma.usageDay.deleteMany({ where: { OR: [{ startsAt: { lt: cutoff } }, { zone: { notIn: [...zones] } }] } }),
  ]);
}
