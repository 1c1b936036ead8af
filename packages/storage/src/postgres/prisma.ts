import { PrismaPg } from '@prisma/adapter-pg';
import { Prisma, PrismaClient } from './generated/client.js';

export { Prisma, PrismaClient };

/** The client inside a transaction, as `$transaction` hands it to its callback. */
export type PrismaTx = Prisma.TransactionClient;

export interface PrismaOptions {
  url: string;
  /** Upper bound of connections. */
  poolMax: number;
  idleTimeoutMs?: number;
  connectTimeoutMs?: number;
  applicationName?: string;
}

/** Connects lazily at the first query; `$disconnect` closes the pool. */
export function createPrisma(options: PrismaOptions): PrismaClient {
  const adapter = new PrismaPg({
    connectionString: options.url,
    max: options.poolMax,
    idleTimeoutMillis: options.idleTimeoutMs ?? 600_000,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    application_name: options.applicationName,
  });
  return new PrismaClient({ adapter, errorFormat: 'minimal', transactionOptions: { maxWait: 5_000, timeout: 15_000 } });
}
