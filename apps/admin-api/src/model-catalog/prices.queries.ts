import type { Prisma, PrismaTx } from '@omg/database';
import { newId } from '../new-id.js';
import { databaseNow } from '../database-now.js';
import type { PriceColumns } from './prices.js';

/** Adds a version that counts from `validFrom`, or from now on by Postgres's clock: this machine's may be wrong. */
export async function insertPrice(tx: PrismaTx, routeId: string, price: PriceColumns, validFrom?: Date): Promise<void> {
  const now = await databaseNow(tx);
  const data = { id: newId(), routeId, ...price, validFrom: validFrom ?? now, createdAt: now };
  await tx.priceVersion.create({ data: data as unknown as Prisma.PriceVersionUncheckedCreateInput });
}
