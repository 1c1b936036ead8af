import { connectRedis } from '@omg/storage';
import { waitFor } from '@omg/testkit';

async function ask<T>(url: string, question: (redis: ReturnType<typeof connectRedis>) => Promise<T>): Promise<T> {
  const redis = connectRedis({ url }, { name: 'bench', mode: 'background' });
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

export const usedMemoryBytes = (url: string): Promise<number> => ask(url, async (redis) => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))![1]));

/**
 * Has the append-only file written anew and waits for its end. Redis does so by itself whenever the file has doubled, so a measurement
 * of some seconds that begins in an empty Redis would see it happen again and again.
 */
export const compactAppendOnlyFile = (url: string): Promise<void> =>
  ask(url, async (redis) => {
    await redis.bgrewriteaof().catch((error: Error) => {
      if (!error.message.includes('already in progress')) throw error;
    });
    await waitFor(async () => /aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/.test(await redis.info('persistence')), {
      timeoutMs: 60_000,
      what: 'the append-only file to be rewritten',
    });
  });
