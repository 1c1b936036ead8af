import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startProcess, stopProcess } from '@omg/dev';
import { Redis } from 'ioredis';
import { addCleanup } from './cleanup.js';
import { temporaryFolder } from './temporary-folder.js';
import { startRedis, type OwnService } from './services.js';
import { waitFor } from './wait-for.js';

/** Redis as larger installations run it, as real processes on loopback ports that belong to the calling test file. */

const SLOTS = 16_384;
const STOP_MS = 60_000;
const SENTINEL_MASTER = 'omg';

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  client.on('error', () => undefined);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

export interface RedisCluster {
  /** Names two of the three nodes: the third one must be found. */
  url: string;
  nodes: OwnService[];
}

/** A Redis Cluster of three masters with a third of the slots each. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const busPorts = [await freePort(), await freePort(), await freePort()] as const;
  const nodes = await Promise.all(busPorts.map((port) => startRedis({ settings: { 'cluster-enabled': 'yes', 'cluster-port': String(port), databases: '1' } })));
  const share = Math.ceil(SLOTS / nodes.length);
  for (const [index, node] of nodes.entries()) {
    await ask(node.url, async (client) => {
      await client.cluster('ADDSLOTSRANGE', index * share, Math.min((index + 1) * share, SLOTS) - 1);
      for (const [other, { port }] of nodes.entries()) if (other !== index) await client.call('CLUSTER', 'MEET', '127.0.0.1', port, busPorts[other]!);
    });
  }
  const isWhole = async (node: OwnService): Promise<boolean> => {
    const info = await ask(node.url, (client) => client.cluster('INFO'));
    return info.includes('cluster_state:ok') && info.includes(`cluster_size:${nodes.length}`);
  };
  await waitFor(async () => (await Promise.all(nodes.map(isWhole))).every(Boolean), { what: 'the cluster to be whole' });
  return { url: `redis+cluster://${nodes.slice(0, 2).map(({ port }) => `127.0.0.1:${port}`)}`, nodes };
}

export interface SentinelRedis {
  url: string;
  master: OwnService;
  replica: OwnService;
  /** SIGKILL for the master. From now on the sentinel soon promotes the replica. */
  killMaster(): Promise<void>;
}

/** A master, a replica, and one sentinel that promotes the replica when the master was killed, and not when it is only slow. */
export async function startSentinelRedis(): Promise<SentinelRedis> {
  const master = await startRedis();
  const replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${master.port}` } });
  await waitFor(async () => (await ask(replica.url, (client) => client.info('replication'))).includes('master_link_status:up'), { what: 'the replica' });
  const port = await freePort();
  const folder = temporaryFolder();
  const file = join(folder, 'sentinel.conf');
  const settings = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${SENTINEL_MASTER} 127.0.0.1 ${master.port} 1`,
    `sentinel down-after-milliseconds ${SENTINEL_MASTER} 600000`,
    `sentinel failover-timeout ${SENTINEL_MASTER} 5000`,
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  const sentinel = await startProcess('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  addCleanup(() => stopProcess(sentinel.identity, 'SIGTERM', STOP_MS).then(() => undefined));
  // A sentinel promotes only replicas that it knows.
  await waitFor(
    async () => {
      const replicas = (await ask(`redis://127.0.0.1:${port}`, (client) => client.call('SENTINEL', 'REPLICAS', SENTINEL_MASTER))) as unknown[];
      return replicas.length === 1;
    },
    { what: 'the sentinel to know the replica' },
  );
  const killMaster = async (): Promise<void> => {
    await master.kill();
    await ask(`redis://127.0.0.1:${port}`, (client) => client.call('SENTINEL', 'SET', SENTINEL_MASTER, 'down-after-milliseconds', '1000'));
  };
  return { url: `redis+sentinel://127.0.0.1:${port}/${SENTINEL_MASTER}`, master, replica, killMaster };
}

export interface TlsRedis {
  url: string;
  /** PEM of the certificate authority that signed the server's certificate. */
  caFile: string;
  server: OwnService;
}

/** A Redis that speaks TLS, with a password, and a certificate for 127.0.0.1 that signs itself. */
export async function startTlsRedis(password: string): Promise<TlsRedis> {
  const folder = temporaryFolder();
  const [keyFile, caFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-keyout', keyFile, '-out', caFile, ...subject],
    {
      stdio: 'ignore',
    },
  );
  const port = await freePort();
  const server = await startRedis({
    settings: { 'tls-port': String(port), 'tls-cert-file': caFile, 'tls-key-file': keyFile, 'tls-ca-cert-file': caFile, 'tls-auth-clients': 'no' },
  });
  await ask(server.url, (client) => client.config('SET', 'requirepass', password));
  return { url: `rediss://:${encodeURIComponent(password)}@127.0.0.1:${port}/3`, caFile, server };
}
