import { afterEach, describe, expect, it } from '@jest/globals';
import { attachServices } from './services.js';

const saved = { ...process.env };

describe('attachServices', () => {
  afterEach(() => {
    process.env = { ...saved };
  });

  it('fails with the way out when an address is missing, instead of skipping', () => {
    process.env = { ...saved, ROUTER_DB_URL: 'postgres://x', ROUTER_REDIS_URL: 'redis://x' };
    delete process.env['ROUTER_NATS_URL'];
    expect(() => attachServices()).toThrow(/ROUTER_NATS_URL is not set.*\.\/omg test/);
  });
});
