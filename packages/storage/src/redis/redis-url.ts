/** Where Redis is: one server, a cluster's seeds, or sentinels and the name of their master. */
export interface RedisTarget {
  kind: 'single' | 'cluster' | 'sentinel';
  tls: boolean;
  nodes: { host: string; port: number }[];
  username: string | undefined;
  password: string | undefined;
  db: number;
  masterName: string | undefined;
  sentinelPassword: string | undefined;
}

const SHAPE = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/(?:([^@]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/;

/**
 * Reads `redis://`, `rediss://`, `redis+cluster://host1,host2` and `redis+sentinel://host1,host2/master?db=0&sentinel_password=x`.
 * Throws a TypeError that does not hold the URL, since it may hold a password.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const match = SHAPE.exec(url.trim());
  if (!match) throw new TypeError('redis.url is not a Redis URL');
  const [, scheme, kind = 'single', credentials, hosts, path = '', query = ''] = match;
  const parameters = new URLSearchParams(query);
  const [username, password] = splitCredentials(credentials);
  const masterName = kind === 'sentinel' ? decodeURIComponent(path) : undefined;
  if (masterName === '') throw new TypeError('redis.url names no master: redis+sentinel://host/<master name>');
  const db = Number(parameters.get('db') ?? (kind === 'single' && path !== '' ? path : '0'));
  if (!Number.isInteger(db) || db < 0) throw new TypeError('redis.url has no valid database number');
  return {
    kind: kind as RedisTarget['kind'],
    tls: scheme === 'rediss',
    nodes: hosts!.split(',').map((host) => parseNode(host, kind === 'sentinel' ? 26_379 : 6379)),
    username,
    password,
    db,
    masterName,
    sentinelPassword: parameters.get('sentinel_password') ?? undefined,
  };
}

function splitCredentials(text: string | undefined): [string | undefined, string | undefined] {
  if (text === undefined || text === '') return [undefined, undefined];
  const at = text.indexOf(':');
  if (at < 0) return [decodeURIComponent(text), undefined];
  const username = decodeURIComponent(text.slice(0, at));
  return [username === '' ? undefined : username, decodeURIComponent(text.slice(at + 1))];
}

function parseNode(text: string, portDefault: number): { host: string; port: number } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(text.trim());
  if (!match) throw new TypeError('redis.url has a host that cannot be read');
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port: match[2] ? Number(match[2]) : portDefault };
}
