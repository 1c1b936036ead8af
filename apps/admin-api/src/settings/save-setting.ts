import { Prisma, type PrismaTx } from '@omg/database';
import { requireVersion } from '../http/if-match.js';
import type { Principal } from '../http/principal.js';

/**
 * Makes changes of one settings document take turns until the transaction ends, also while it has no row yet. Call it
 * before the document is read: what a change leaves out keeps the value that the change before it wrote.
 */
export async function lockSetting(tx: PrismaTx, key: string): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`omg:setting:${key}`}, 0))`;
}

/** Checks the version of a locked settings document and writes it. */
export async function saveSetting(tx: PrismaTx, caller: Principal, key: string, value: object, ifMatch: string | undefined): Promise<void> {
  const row = await tx.setting.findUnique({ where: { key }, select: { version: true } });
  requireVersion(ifMatch, row?.version ?? 0);
  const written = { value: value as Prisma.InputJsonObject, updatedBy: caller.userId };
  await tx.setting.upsert({
    where: { key },
    create: { key, ...written, createdBy: caller.userId },
    update: { ...written, version: { increment: 1 } },
  });
}
