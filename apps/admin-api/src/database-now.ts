import type { PrismaClient } from '@omg/database';

/** Postgres's time, in a transaction that of its start: which price, key or window counts must not depend on this machine's clock. */
export async function databaseNow(db: Pick<PrismaClient, '$queryRaw'>): Promise<Date> {
  const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT now() AS now`;
  return row!.now;
}
