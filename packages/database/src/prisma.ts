import { PrismaPg } from '@prisma/adapter-pg';
import { Prisma, PrismaClient } from './generated/client.js';
import { connectTimeoutOf, createPool, type DatabaseSettings, type PoolOptions } from './pool.js';

export { Prisma, PrismaClient };

/** The client inside a transaction, as `$transaction` hands it to its callback. */
export type PrismaTx = Prisma.TransactionClient;

/** Connects lazily at the first query, with the same pool and settings as everybody else; `$disconnect` closes the pool. */
export function createPrisma(settings: DatabaseSettings, options: PoolOptions): PrismaClient {
  const adapter = new PrismaPg(createPool(settings, options), { disposeExternalPool: true });
  // A transaction waits for its connection as long as any other user of the pool.
  return new PrismaClient({ adapter, errorFormat: 'minimal', transactionOptions: { maxWait: connectTimeoutOf(settings), timeout: 15_000 } });
}
