import { RedisLedgerStore, closeRedis, connectRedis, type RedisClient } from '@omg/storage';
import { addCleanup } from '@omg/testkit';

/** The recorder's view of Redis, and Redis itself, until `cleanUp()`: to seed totals as the recorder does, and to see what is open. */
export function openLedger(redisUrl: string): { redis: RedisClient; ledger: RedisLedgerStore } {
  const redis = connectRedis({ url: redisUrl, commandTimeoutMs: 30_000 }, { name: 'test', mode: 'background' });
  const ledger = new RedisLedgerStore(redis, { commandTimeoutMs: 30_000 });
  addCleanup(async () => {
    ledger.close();
    await closeRedis(redis);
  });
  return { redis, ledger };
}
