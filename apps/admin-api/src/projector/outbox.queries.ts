import type { PrismaClient } from '@omg/database';

export type OutboxDatabase = Pick<PrismaClient, 'configOutbox' | '$queryRaw'>;

export interface OutboxRow {
  seq: bigint;
  kind: string;
  ref: string;
  createdAt: Date;
}

export function readOutbox(db: OutboxDatabase, limit: number): Promise<OutboxRow[]> {
  return db.configOutbox.findMany({ orderBy: { seq: 'asc' }, take: limit });
}

export async function deleteOutbox(db: OutboxDatabase, seqs: bigint[]): Promise<void> {
  await db.configOutbox.deleteMany({ where: { seq: { in: seqs } } });
}

/** Of the change that was committed last; undefined when everything has been projected. */
export async function newestSeq(db: OutboxDatabase): Promise<bigint | undefined> {
  const { _max } = await db.configOutbox.aggregate({ _max: { seq: true } });
  return _max.seq ?? undefined;
}

/** Whether a change up to this one waits to be projected. */
export async function outboxHolds(db: OutboxDatabase, seq: bigint): Promise<boolean> {
  return (await db.configOutbox.findFirst({ where: { seq: { lte: seq } }, select: { seq: true } })) !== null;
}

/** Aliases with a price that began to count after `since`, and the time until which was looked. */
export async function readPricesThatBegan(db: OutboxDatabase, since: Date | undefined): Promise<{ until: Date; aliasKeys: string[] }> {
  const rows = await db.$queryRaw<{ until: Date; alias_key: string | null }[]>`
    SELECT n.until, r.alias_key
    FROM (SELECT now() AS until) n
    LEFT JOIN price_versions p ON p.valid_from > ${since ?? null}::timestamptz AND p.valid_from <= n.until AND p.created_at < p.valid_from
    LEFT JOIN model_routes r ON r.id = p.route_id`;
  return { until: rows[0]!.until, aliasKeys: [...new Set(rows.flatMap((row) => (row.alias_key === null ? [] : [row.alias_key])))] };
}
