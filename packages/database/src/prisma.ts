import { PrismaPg } from '@prisma/adapter-pg';
import { Prisma, PrismaClient } from './generated/client.js';
import { createPool, type DatabaseSettings, type PoolOptions } from './pool.js';

export { Prisma, PrismaClient };

/** The client inside a transaction, as `$transaction` hands it to its callback. */
export type PrismaTx = Prisma.TransactionClient;

/** Connects lazily at the first query, with the same pool and settings as everybody else; `$disconnect` closes the pool. */
export function createPrisma(settings: DatabaseSettings, options: PoolOptions): PrismaClient {
  const adapter = new PrismaPg(createPool(settings, options), { disposeExternalPool: true });
  return new PrismaClient({ adapter, errorFormat: 'minimal', transactionOptions: { maxWait: 5_000, timeout: 15_000 } });
}
