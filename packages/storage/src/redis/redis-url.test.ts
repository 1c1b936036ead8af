import { describe, expect, it } from '@jest/globals';
import { parseRedisUrl } from './redis-url.js';

const PLAIN = { kind: 'single', tls: false, username: undefined, password: undefined, db: 0, masterName: undefined, sentinelPassword: undefined };

describe('a Redis URL', () => {
  it.each([
    ['redis://localhost', { ...PLAIN, nodes: [{ host: 'localhost', port: 6379 }] }],
    ['  redis://10.0.0.7:7000/4\n', { ...PLAIN, db: 4, nodes: [{ host: '10.0.0.7', port: 7000 }] }],
    ['rediss://cache.example.com?db=2', { ...PLAIN, tls: true, db: 2, nodes: [{ host: 'cache.example.com', port: 6379 }] }],
    ['redis://[::1]:6380', { ...PLAIN, nodes: [{ host: '::1', port: 6380 }] }],
    [
      'redis+cluster://a:1,b:2,c',
      {
        ...PLAIN,
        kind: 'cluster',
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
          { host: 'c', port: 6379 },
        ],
      },
    ],
    ['rediss+cluster://:secret@a', { ...PLAIN, kind: 'cluster', tls: true, password: 'secret', nodes: [{ host: 'a', port: 6379 }] }],
    [
      'redis+sentinel://user:secret@s1,s2:5/my%20master?db=3&sentinel_password=other%26one',
      {
        ...PLAIN,
        kind: 'sentinel',
        username: 'user',
        password: 'secret',
        db: 3,
        masterName: 'my master',
        sentinelPassword: 'other&one',
        nodes: [
          { host: 's1', port: 26_379 },
          { host: 's2', port: 5 },
        ],
      },
    ],
  ])('%s is read', (url, target) => {
    expect(parseRedisUrl(url)).toEqual(target);
  });

  it('keeps every character of a password that is percent-encoded', () => {
    const password = 'p@ss:w/rd?#%,';
    expect(parseRedisUrl(`redis://:${encodeURIComponent(password)}@host`)).toMatchObject({ password, username: undefined });
    expect(parseRedisUrl('redis://only-user@host')).toMatchObject({ username: 'only-user', password: undefined });
    expect(parseRedisUrl('redis://user:@host')).toMatchObject({ username: 'user', password: '' });
  });

  it.each([
    '',
    'http://host',
    'redis://',
    'redis+sentinel://host',
    'redis+sentinel://host/',
    'redis://host/x',
    'redis://host/-1',
    'redis://host:port',
    'redis+cluster://a,,b',
  ])('%j is refused, without telling it', (url) => {
    expect(() => parseRedisUrl(url)).toThrow(TypeError);
  });

  it('that is refused does not show its password', () => {
    const message = ((): string => {
      try {
        parseRedisUrl('redis://user:very-secret@host:port:more');
        return '';
      } catch (error) {
        return String(error);
      }
    })();
    expect(message).toContain('redis.url');
    expect(message).not.toContain('very-secret');
  });
});
