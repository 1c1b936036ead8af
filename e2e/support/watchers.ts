import { connect, type NatsConnection } from '@nats-io/transport-node';
import { addCleanup } from '@omg/testkit';
import { Redis } from 'ioredis';
import pg from 'pg';

/** Whatever passes through a store of a stack from now on, as one text; for tests that look for what must not be there. */
export interface Watcher {
  text(): string;
}

const CHARS_MAX = 50_000_000;

/** Every command that any client sends to this Redis, arguments included: jobs, scripts, keys. The server must be the stack's own. */
export async function watchRedis(url: string): Promise<Watcher> {
  const seen: string[] = [];
  let chars = 0;
  const client = new Redis(url);
  const monitor = await client.monitor();
  monitor.on('monitor', (_time: string, args: string[]) => {
    const line = args.join(' ');
    if ((chars += line.length) < CHARS_MAX) seen.push(line);
  });
  addCleanup(async () => {
    monitor.disconnect();
    client.disconnect();
  });
  return { text: () => seen.join('\n') };
}

/** Every message on this NATS, with subject and headers: usage batches, configuration and health documents, requests, answers. */
export async function watchNats(url: string): Promise<Watcher> {
  const connection: NatsConnection = await connect({ servers: url });
  const seen: string[] = [];
  let chars = 0;
  connection.subscribe('>', {
    callback: (_error, message) => {
      const headers = message.headers ? [...message.headers].map(([name, values]) => `${name}: ${values.join(', ')}`).join(' ') : '';
      const line = `${message.subject} ${headers} ${Buffer.from(message.data).toString('latin1')}`;
      if ((chars += line.length) < CHARS_MAX) seen.push(line);
    },
  });
  await connection.flush();
  addCleanup(() => connection.close());
  return { text: () => seen.join('\n') };
}

/** Every row of every table. */
export async function dumpPostgres(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const tables = await client.query<{ name: string }>(`SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`);
  const texts: string[] = [];
  for (const { name } of tables.rows) texts.push(JSON.stringify((await client.query(`SELECT t::text AS row FROM ${name} t`)).rows));
  await client.end();
  return texts.join('\n');
}

/** Every key and value. */
export async function dumpRedis(url: string): Promise<string> {
  const client = new Redis(url);
  const texts: string[] = [];
  for await (const keys of client.scanStream({ count: 500 })) {
    for (const key of keys as string[]) texts.push(key, (await client.dumpBuffer(key))?.toString('latin1') ?? '');
  }
  client.disconnect();
  return texts.join('\n');
}
