import { Prisma, type PrismaTx } from '@omg/storage';
import { requireVersion } from '../http/if-match.js';
import type { Principal } from '../http/principal.js';

/** Locks a singleton setting, checks its version and writes it. Returns the new version. */
export async function saveSetting(tx: PrismaTx, caller: Principal, key: string, value: object, ifMatch: string | undefined): Promise<number> {
  // The insert makes the row that the lock needs, so that two first changes take turns too.
  await tx.$executeRaw`INSERT INTO settings (key, value, version, created_by) VALUES (${key}, 'null', 0, ${caller.userId}::uuid) ON CONFLICT DO NOTHING`;
  const [row] = await tx.$queryRaw<{ version: number }[]>`SELECT version FROM settings WHERE key = ${key} FOR UPDATE`;
  requireVersion(ifMatch, row!.version);
  const saved = await tx.setting.update({
    where: { key },
    data: { value: value as Prisma.InputJsonObject, version: { increment: 1 }, updatedBy: caller.userId },
  });
  return saved.version;
}
