import { describe, expect, it } from '@jest/globals';
import { Writable } from 'node:stream';
import { createLogger } from '../logging/logger.js';
import { ConfigReload } from './config-reload.js';
import { isLive, LIVE_KEYS, NOT_LIVE_KEYS } from './live-keys.js';
import { loadConfig } from './load-config.js';
import { leavesOf } from './schema.js';

const lines: Record<string, unknown>[] = [];
const destination = new Writable({
  write(chunk: Buffer, _encoding, done) {
    lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
    done();
  },
});

function start() {
  const env: Record<string, string> = {};
  const load = () => loadConfig({ sections: ['server', 'rate_limits', 'model_catalog'], env, cwd: '/nonexistent' });
  const { config } = load();
  return { env, config, reload: new ConfigReload(config, load, createLogger({ service: 'x', destination })) };
}

describe('a reload', () => {
  it('puts live settings into the configuration that everybody holds, and names those that wait for a restart', async () => {
    const { env, config, reload } = start();
    const held = config.rateLimits;
    env['ROUTER_RATE_LIMITS_DEFAULT_REQUESTS_PER_MINUTE'] = '7';
    env['ROUTER_SERVER_PROVIDER_TIMEOUT'] = '9s';
    env['ROUTER_SERVER_LISTEN_ADDR'] = ':9999';
    env['ROUTER_MODEL_CATALOG'] = JSON.stringify([{ alias: 'a', provider: 'openai', provider_model: 'm' }]);
    const seen: string[][] = [];
    reload.onReload('test', (changed) => void seen.push([...changed]));
    expect(await reload.reload()).toEqual({
      applied: ['server.provider_timeout', 'rate_limits.default_requests_per_minute', 'model_catalog'],
      needRestart: ['server.listen_addr'],
    });
    expect(held.defaultRequestsPerMinute).toBe(7);
    expect(config.server).toMatchObject({ providerTimeoutMs: 9000, listenAddr: ':8080' });
    expect(config.modelCatalog).toHaveLength(1);
    expect(seen).toEqual([['server.provider_timeout', 'rate_limits.default_requests_per_minute', 'model_catalog']]);
    expect((await reload.reload())?.applied).toEqual([]);
    expect(seen).toHaveLength(1);
  });

  it('refuses a configuration with a mistake whole, and says what is wrong', async () => {
    const { env, config, reload } = start();
    env['ROUTER_RATE_LIMITS_DEFAULT_REQUESTS_PER_MINUTE'] = '7';
    env['ROUTER_RATE_LIMITS_DEFAULT_TOKENS_PER_MINUTE'] = 'many';
    expect(await reload.reload()).toBeUndefined();
    expect(config.rateLimits.defaultRequestsPerMinute).toBe(1000);
    expect(lines.at(-1)).toMatchObject({ level: 'error', problems: [expect.stringContaining('ROUTER_RATE_LIMITS_DEFAULT_TOKENS_PER_MINUTE')] });
  });

  it('that fails does not end those after it', async () => {
    const { env, config } = start();
    let fails = true;
    const load = () => {
      if (fails) throw new Error('the disk does not answer');
      return loadConfig({ sections: ['server', 'rate_limits', 'model_catalog'], env, cwd: '/nonexistent' });
    };
    const reload = new ConfigReload(config, load, createLogger({ service: 'x', destination }));
    await expect(reload.reload()).rejects.toThrow('the disk does not answer');
    fails = false;
    env['ROUTER_RATE_LIMITS_DEFAULT_REQUESTS_PER_MINUTE'] = '7';
    expect((await reload.reload())?.applied).toEqual(['rate_limits.default_requests_per_minute']);
  });

  it('tells a part that failed again at the next reload, and the others anyway', async () => {
    const { env, reload } = start();
    let failures = 1;
    const told: string[] = [];
    reload.onReload('first', () => {
      if (failures-- > 0) throw new Error('Postgres is away');
      told.push('first');
    });
    reload.onReload('second', () => void told.push('second'));
    env['ROUTER_RATE_LIMITS_DEFAULT_REQUESTS_PER_MINUTE'] = '7';
    await reload.reload();
    expect(told).toEqual(['second']);
    await reload.reload();
    expect(told).toEqual(['second', 'first', 'second']);
  });
});

describe('the list of live settings', () => {
  it('names settings that exist, and none that is a socket, a store or a key of encryption', () => {
    const keys = leavesOf().map((leaf) => leaf.dotted);
    for (const key of [...LIVE_KEYS, ...NOT_LIVE_KEYS])
      expect([key, keys.some((dotted) => (key.endsWith('.') ? dotted.startsWith(key) : dotted === key))]).toEqual([key, true]);
    for (const key of keys.filter((dotted) => /^(database|redis|nats|secrets|security|admin|metering|monitor|recorder|profile)\b|listen_addr/.test(dotted)))
      expect([key, isLive(key)]).toEqual([key, false]);
  });
});
