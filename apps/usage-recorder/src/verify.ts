import { ConfigError, createLogger, loadConfig } from '@omg/service-kit';
import { createPool, ledgerDatabase } from '@omg/database';
import { RedisLedgerStore, closeRedis, connectNats, connectRedis, usageBacklog } from '@omg/storage';
import { setTimeout as delay } from 'node:timers/promises';
import { usageIsWholeSinceMs } from './retention.js';
import { readVerifyArguments, UsageError } from './verify/verify-arguments.js';
import { verifyLedger, type VerifyReport } from './verify/verify-ledger.js';

/**
 * `./omg verify [--days N] [--wait SECONDS] [--running]`: prints each mismatch of the ledger. Exit code 0: none; 1: some;
 * 2: it could not be verified.
 */

const DAY_MS = 86_400_000;
const CONNECT_MS = 10_000;

async function main(): Promise<number> {
  const { days, waitSeconds, running, config: file } = readVerifyArguments(process.argv.slice(2));
  const { config } = loadConfig({ sections: ['database', 'redis', 'nats', 'retention'], argv: file ? ['--config', file] : [] });
  const pool = createPool(config.database, { name: 'verify' });
  const redis = connectRedis(config.redis, { name: 'verify', mode: 'background' });
  const store = new RedisLedgerStore(redis, { commandTimeoutMs: CONNECT_MS });
  const nats = connectNats(config.nats, { name: 'verify' });
  try {
    const connection = await Promise.race([nats.connected(), delay(CONNECT_MS, undefined, { ref: false })]);
    if (!connection) throw new Error('NATS does not answer');
    const usageSinceMs = usageIsWholeSinceMs(config.retention, Date.now());
    const report = await verifyLedger(
      { database: ledgerDatabase(pool), store, backlog: () => usageBacklog(connection) },
      {
        usageSinceMs,
        costsSinceMs: days === undefined ? usageSinceMs : Math.max(usageSinceMs, Date.now() - days * DAY_MS),
        settleMs: waitSeconds * 1_000,
        allowRunning: running,
      },
    );
    print(report);
    return report.mismatches.length === 0 ? 0 : 1;
  } finally {
    store.close();
    await Promise.allSettled([pool.end(), closeRedis(redis), nats.close()]);
  }
}

function print({ mismatches, ...counts }: VerifyReport): void {
  for (const { kind, text } of mismatches) process.stdout.write(`MISMATCH ${kind}: ${text}\n`);
  const { usageRows, unverifiableCosts, tenants, auditRows, deadLetters } = counts;
  process.stdout.write(
    `verified ${usageRows} usage rows (${unverifiableCosts} without a price to recompute), ${tenants} tenants in Redis, ${auditRows} audit rows; ` +
      `${deadLetters} dead letters; ${mismatches.length === 0 ? 'no mismatch' : `${mismatches.length} mismatches`}\n`,
  );
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof ConfigError || error instanceof UsageError) process.stderr.write(`${error.message}\n`);
  else createLogger({ service: 'verify' }).error({ err: error }, 'the ledger could not be verified');
  process.exitCode = 2;
}
