import { cleanUp, startStack, TEST_KEY } from '@omg/testkit';
import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import { bookedRows } from './booked-rows.ts';
import { load, withCpu, type LoadResult } from './load.ts';
import { startPlainProxy, startStaticUpstream } from './nginx.ts';
import { publish } from './report.ts';

/**
 * The main path: a whole chat request with key check, limits, budget hold, settlement and recorded usage, next to nginx as
 * a plain proxy in the same run. The gateway (or the proxy) has one core to itself; load, provider, stores and the other
 * services share the other one.
 */
const GATEWAY_CORE = 0;
const OTHER_CORE = 1;
const CONNECTIONS = 32;
const SECONDS = 10;

const BODY = JSON.stringify({
  model: 'test-chat',
  messages: [
    { role: 'system', content: 'You are a helpful assistant.' },
    { role: 'user', content: 'Write a haiku about gateways, budgets and exact accounting.' },
  ],
  max_tokens: 32,
  temperature: 0.2,
});
const HEADERS = { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' };

const micros = (value: number): string => `${Math.round(value)} µs`;

async function main(): Promise<void> {
  if (cpus().length < 2) throw new Error('this benchmark needs two cores');
  // Everything that is started from here on inherits the other core; the gateway is moved to its own below.
  execFileSync('taskset', ['-acp', String(OTHER_CORE), String(process.pid)], { stdio: 'ignore' });
  const upstream = await startStaticUpstream(OTHER_CORE);
  const proxy = await startPlainProxy(GATEWAY_CORE, upstream.url);
  const stack = await startStack({ upstreamUrl: `${upstream.url}/v1`, ownServers: ['postgres', 'redis'], env: { ROUTER_OBSERVABILITY_LOG_LEVEL: 'warn' } });
  execFileSync('taskset', ['-acp', String(GATEWAY_CORE), String(stack.edge.pid)], { stdio: 'ignore' });
  const target = (base: string, connections: number, seconds: number) =>
    load({ url: `${base}/v1/chat/completions`, connections, seconds, headers: HEADERS, body: BODY });

  const idleDirect = await target(upstream.url, 1, 3);
  const idleProxy = await target(proxy.url, 1, 3);
  // Warms the just-in-time compiler; what it left behind is booked before anything is measured.
  await target(stack.edge.url, CONNECTIONS, 5);
  await bookedRows(stack.databaseUrl);
  // From here on the recorder books later, from the stream: on two cores it would only take the load generator's time.
  stack.recorder.pause();
  const idleGateway = await target(stack.edge.url, 1, 5);
  const proxyLoad = await withCpu({ gateway: proxy.pid }, () => target(proxy.url, CONNECTIONS, SECONDS));
  const gatewayLoad = await withCpu({ gateway: stack.edge.pid, redis: stack.redis!.identity.pid, nats: stack.nats.identity.pid }, () =>
    target(stack.edge.url, CONNECTIONS, SECONDS),
  );
  stack.recorder.resume();
  const booked = await bookedRows(stack.databaseUrl);
  report({ idleDirect, idleProxy, idleGateway, proxyLoad, gatewayLoad, booked });
}

interface Figures {
  idleDirect: LoadResult;
  idleProxy: LoadResult;
  idleGateway: LoadResult;
  proxyLoad: LoadResult & { cpu: Record<string, number> };
  gatewayLoad: LoadResult & { cpu: Record<string, number> };
  booked: { rows: number; costNano: bigint };
}

function report(figures: Figures): void {
  const { idleDirect, idleProxy, idleGateway, proxyLoad, gatewayLoad, booked } = figures;
  const row = (name: string, connections: number, result: LoadResult, cpu: string): (string | number)[] => [
    name,
    connections,
    Math.round(result.perSecond),
    `${result.p50Ms.toFixed(2)} ms`,
    `${result.p99Ms.toFixed(2)} ms`,
    result.failures,
    cpu,
  ];
  publish({
    name: 'edge',
    title: 'The main path next to a plain proxy',
    method: [
      'One sync chat request (220 bytes in, 560 bytes out) against a static provider. The gateway checks the key, counts requests, tokens',
      'and parallel calls, holds and settles the budget, and hands the usage event to the stream before the answer ends. The gateway, and the proxy in',
      'its turn, has one core to itself; load generator, provider, Redis and NATS share the other. The recorder is paused during the load and books',
      'everything afterwards.',
    ],
    columns: ['', 'connections', 'requests/s', 'p50', 'p99', 'failures', 'CPU per request'],
    rows: [
      row('provider, direct', 1, idleDirect, ''),
      row('nginx as plain proxy', 1, idleProxy, ''),
      row('gateway', 1, idleGateway, ''),
      row('nginx as plain proxy', CONNECTIONS, proxyLoad, micros(proxyLoad.cpu.gateway!)),
      row(
        'gateway',
        CONNECTIONS,
        gatewayLoad,
        `${micros(gatewayLoad.cpu.gateway!)} (Redis ${micros(gatewayLoad.cpu.redis!)}, NATS ${micros(gatewayLoad.cpu.nats!)})`,
      ),
    ],
    findings: [
      `Added at the median when idle: ${(idleGateway.p50Ms - idleDirect.p50Ms).toFixed(2)} ms (plain proxy: ${(idleProxy.p50Ms - idleDirect.p50Ms).toFixed(2)} ms).`,
      `Capacity of one core by CPU per request: ${Math.round(1e6 / gatewayLoad.cpu.gateway!)} requests/s; the plain proxy's: ${Math.round(1e6 / proxyLoad.cpu.gateway!)} (ratio ${(gatewayLoad.cpu.gateway! / proxyLoad.cpu.gateway!).toFixed(1)}).`,
      `Usage rows in Postgres afterwards, warm-up and idle runs included: ${booked.rows}, cost ${booked.costNano} nano-USD.`,
    ],
  });
}

try {
  await main();
} finally {
  await cleanUp();
}
