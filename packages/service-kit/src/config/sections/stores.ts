import { z } from 'zod';
import { duration, durationOf, flag, leaf, positiveDuration, text } from '../fields.js';

const url = (protocols: readonly string[]) =>
  text().refine(
    (value) => protocols.some((protocol) => value.startsWith(`${protocol}://`)),
    `must be a URL that starts with ${protocols.map((p) => `${p}://`).join(' or ')}`,
  );

const count = () => z.int().nonnegative();

export const databaseSection = z.object({
  url: leaf(url(['postgres', 'postgresql']), {
    about: 'Postgres. TLS by `sslmode` and `sslrootcert` in the query.',
    secret: true,
    example: '${ROUTER_DB_URL:-postgres://postgres@127.0.0.1:5432/open_model_gateway}',
  }),
  run_migrations: leaf(flag().default(true), { about: 'Migrate at the start of the admin API, under an advisory lock.' }),
  migrations_dir: leaf(text().default('./migrations'), {
    about: 'Where the migrations lie; needed when `database.run_migrations` is on. Where the default folder is not there, those of the release are applied.',
  }),
  max_conns: leaf(z.int().positive().max(1000).default(20), { about: 'Most connections of one process.' }),
  min_conns: leaf(count().default(2), { about: 'Connections kept open while idle.' }),
  max_conn_idle_time: leaf(positiveDuration().default(durationOf('10m')), { about: 'An idle connection is closed after this time.' }),
  max_conn_lifetime: leaf(positiveDuration().default(durationOf('1h')), {
    about: 'A connection is replaced after this time, so that a failover or a rotated password takes effect.',
  }),
  connect_timeout: leaf(positiveDuration().default(durationOf('5s')), { about: 'Longest wait for a connection, free or new.' }),
  statement_timeout: leaf(duration().default(durationOf('30s')), { about: 'Longest statement, enforced by the server; 0 switches it off.' }),
});

export const redisSection = z.object({
  url: leaf(url(['redis', 'rediss', 'redis+cluster', 'rediss+cluster', 'redis+sentinel', 'rediss+sentinel']), {
    about: 'Redis: `redis://`, `rediss://` (TLS), `redis+cluster://host1,host2` or `redis+sentinel://host1,host2/master-name`.',
    secret: true,
    example: '${ROUTER_REDIS_URL:-redis://127.0.0.1:6379}',
  }),
  db: leaf(count().max(1023).default(0), { about: 'A number above 0 replaces the one in the URL; not for a cluster.' }),
  pool_size: leaf(count().default(20), { about: 'Most connections of one process; commands are pipelined, so a process opens few. 0 lifts the limit.' }),
  command_timeout: leaf(positiveDuration().default(durationOf('2s')), {
    about: 'Longest wait for one command outside the request path, whose bound is `edge.redis_timeout`.',
  }),
  connect_timeout: leaf(positiveDuration().default(durationOf('5s')), { about: 'Longest wait for one connection attempt; attempts go on for ever.' }),
  tls_ca_file: leaf(text().default(''), { about: 'Certificate authority of a `rediss://` server, as a PEM file.' }),
});

export const natsSection = z.object({
  url: leaf(
    text().refine(
      (value) => value.split(',').every((part) => /^(nats|tls):\/\/\S+$/.test(part.trim())),
      'must be one or more nats:// or tls:// URLs, separated by commas',
    ),
    { about: 'NATS servers, separated by commas; user and password may stand in the URL.', secret: true, example: '${ROUTER_NATS_URL:-nats://127.0.0.1:4222}' },
  ),
  token: leaf(text().default(''), { about: 'Token, where the servers ask for one.', secret: true }),
  creds_file: leaf(text().default(''), { about: 'Credentials file of an operator-mode account.' }),
  tls_ca_file: leaf(text().default(''), { about: 'Certificate authority of the servers, as a PEM file; also switches TLS on.' }),
  tls_cert_file: leaf(text().default(''), { about: 'Client certificate, as a PEM file.' }),
  tls_key_file: leaf(text().default(''), { about: 'Key of the client certificate, as a PEM file.' }),
  request_timeout: leaf(positiveDuration().default(durationOf('5s')), { about: 'Longest wait for one answer of the server.' }),
  replicas: leaf(z.int().min(1).max(5).default(1), { about: 'Copies of each stream and bucket; 3 in production.' }),
});
