import { addCleanup, cleanUp, startStack, TEST_KEY } from '@omg/testkit';
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { bookedRows } from './booked-rows.ts';
import { load, withCpu, type LoadResult } from './load.ts';
import { startPlainProxy, startStaticUpstream } from './nginx.ts';
import { startLiteLlm, startPortkey, type Peer } from './peer-gateways.ts';
import { publish } from './report.ts';

/**
 * Other open gateways under the same load, in the same run: each of them, and ours in its turn, has one core to itself, with
 * one worker process; load generator, provider and stores share the other one.
 */
const GATEWAY_CORE = 0;
const OTHER_CORE = 1;
const CONNECTIONS = 32;
const SECONDS = 10;
const WARM_UP_SECONDS = 5;

const messages = [
  { role: 'system', content: 'You are a helpful assistant.' },
  { role: 'user', content: 'Write a haiku about gateways, budgets and exact accounting.' },
];
const BODY = JSON.stringify({ model: 'test-chat', messages, max_tokens: 32, temperature: 0.2 });

interface Contender extends Peer {
  name: string;
  does: string;
}

interface Measured {
  contender: Contender;
  idle: LoadResult;
  loaded: LoadResult & { cpu: Record<string, number> };
}

async function main(): Promise<void> {
  if (cpus().length < 2) throw new Error('this benchmark needs two cores');
  // Everything that is started from here on inherits the other core; the gateways are moved to their own below.
  execFileSync('taskset', ['-acp', String(OTHER_CORE), String(process.pid)], { stdio: 'ignore' });
  const upstream = await startStaticUpstream(OTHER_CORE);
  const direct = await load({
    url: `${upstream.url}/v1/chat/completions`,
    connections: 1,
    seconds: 3,
    headers: { 'content-type': 'application/json' },
    body: BODY,
  });
  const contenders: (() => Promise<Contender>)[] = [
    async () => ({ ...(await startPlainProxy(GATEWAY_CORE, upstream.url)), headers: {}, name: 'nginx as plain proxy', does: 'forwards' }),
    async () => ({ ...(await startPortkey(upstream.url)), does: 'routes; no keys, limits, budgets or books' }),
    async () => ({ ...(await startLiteLlm(upstream.url)), does: 'routes, checks one master key; no limits, budgets or books without its database' }),
    // Last, since its stores and services stay.
    () => startOurs(upstream.url),
  ];
  const measured: Measured[] = [];
  for (const start of contenders) measured.push(await measure(await start()));
  report(direct, measured);
}

async function startOurs(upstreamUrl: string): Promise<Contender> {
  const stack = await startStack({ upstreamUrl: `${upstreamUrl}/v1`, ownServers: ['postgres', 'redis'], env: { ROUTER_OBSERVABILITY_LOG_LEVEL: 'warn' } });
  const headers = { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' };
  // The first calls of a tenant fetch its total from the recorder.
  await load({ url: `${stack.edge.url}/v1/chat/completions`, connections: 1, seconds: 1, headers, body: BODY });
  await bookedRows(stack.databaseUrl);
  // It books from the stream afterwards: on two cores it would only take the load generator's time.
  stack.recorder.pause();
  addCleanup(() => Promise.resolve(stack.recorder.resume()));
  return {
    name: 'Open Model Gateway',
    does: 'checks key, limits and budget, holds and settles the cost, hands usage to the stream',
    url: stack.edge.url,
    pid: stack.edge.pid,
    headers,
  };
}

async function measure(contender: Contender): Promise<Measured> {
  process.stderr.write(`${contender.name}\n`);
  execFileSync('taskset', ['-acp', String(GATEWAY_CORE), String(contender.pid)], { stdio: 'ignore' });
  const target = (connections: number, seconds: number): Promise<LoadResult> =>
    load({
      url: `${contender.url}/v1/chat/completions`,
      connections,
      seconds,
      headers: { 'content-type': 'application/json', ...contender.headers },
      body: BODY,
    });
  await target(CONNECTIONS, WARM_UP_SECONDS);
  const idle = await target(1, WARM_UP_SECONDS);
  const loaded = await withCpu({ gateway: contender.pid }, () => target(CONNECTIONS, SECONDS));
  return { contender, idle, loaded };
}

function report(direct: LoadResult, measured: readonly Measured[]): void {
  const ours = measured.find(({ contender }) => contender.name === 'Open Model Gateway')!;
  const rows = measured.map(({ contender, idle, loaded }) => [
    contender.name,
    contender.does,
    `${(idle.p50Ms - direct.p50Ms).toFixed(2)} ms`,
    Math.round(loaded.perSecond),
    `${loaded.p50Ms.toFixed(1)} ms`,
    `${loaded.p99Ms.toFixed(1)} ms`,
    loaded.failures,
    `${Math.round(loaded.cpu.gateway!)} µs`,
  ]);
  publish({
    name: 'peers',
    title: 'Next to other gateways',
    method: [
      'One sync chat request (220 bytes in, 560 bytes out) against a static provider, sent by wrk: first one connection (what the gateway adds at',
      `the median), then ${CONNECTIONS} connections for ${SECONDS} s. Each gateway runs as one worker process on a core of its own; load generator, provider and, for`,
      'ours, the stores share the other core; the recorder books afterwards. The others run as their manuals start them, with logging of requests',
      'off; what each of them does for a request is in the table, and only ours keeps books.',
    ],
    columns: ['', 'does per request', 'added when idle', 'requests/s', 'p50', 'p99', 'failures', 'CPU per request'],
    rows,
    findings: measured
      .filter((one) => one !== ours)
      .map(
        ({ contender, loaded }) =>
          `CPU per request of Open Model Gateway : ${contender.name} = ${(ours.loaded.cpu.gateway! / loaded.cpu.gateway!).toFixed(2)} : 1 (requests/s ${(ours.loaded.perSecond / loaded.perSecond).toFixed(2)} : 1).`,
      ),
  });
}

try {
  await main();
} finally {
  await cleanUp();
}
