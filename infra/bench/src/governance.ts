import { cpus } from 'node:os';
import { cleanUp } from '@omg/testkit';
import { measureGoverned, type Governed, type GovernedFigures } from './governed-load.ts';
import { CONCURRENCY, measureStores, RELEASE_AT_ONCE, REQUESTS, SIMULATED_PER_SECOND, type StoreFigures, type StoreShape } from './governed-stores.ts';
import type { LoadResult } from './load.ts';
import { publish } from './report.ts';

/**
 * What governance costs: whole calls next to an ungoverned proxy in the same run, with few keys and many, with an empty ledger and a
 * full one; and its two Redis calls alone, with few keys and many, and with little and much already waiting to be booked.
 */
const USAGE_ROWS = Number(process.env['BENCH_USAGE_ROWS'] ?? 5_000_000);
const FEW = { keys: 10, tenants: 1, waiting: 0 };
const MANY_KEYS = { keys: 100_000, tenants: 10, waiting: 0 };
const MANY_TENANTS = { keys: 100_000, tenants: 10_000, waiting: 0 };
const WAITING = { ...FEW, waiting: 200_000 };
const STORES = [FEW, { keys: 1_000, tenants: 100, waiting: 0 }, { keys: 10_000, tenants: 1_000, waiting: 0 }, MANY_KEYS, MANY_TENANTS, WAITING];

type Stores = ReadonlyMap<StoreShape, StoreFigures>;

async function main(): Promise<void> {
  if (cpus().length < 2) throw new Error('this benchmark needs two cores');
  const governed = await measureGoverned(USAGE_ROWS, (line) => process.stdout.write(`${line}\n`));
  const measured = new Map<StoreShape, StoreFigures>();
  for (const shape of STORES) measured.set(shape, await measureStores(shape));
  report(governed, measured);
}

const english = (count: number): string => count.toLocaleString('en');

const micros = (value: number | undefined): string => (value === undefined ? '' : `${value.toFixed(1)} µs`);

function report(figures: GovernedFigures, stores: Stores): void {
  const { ungoverned, few, full, manyKeys, manyTenants } = figures;
  publish({
    name: 'governance',
    title: 'What governance costs',
    method: [
      'Whole sync chat calls against a static provider, 32 at a time. The governed path checks the key, decides requests, tokens, parallel calls and the',
      'budgets of key and tenant in one Redis call, settles in another, and its usage is stored in Redis and sent to the stream before the answer ends.',
      'The ungoverned one is a proxy of the same runtime (Node, undici) that parses both bodies and does nothing else. Each has one core to itself;',
      'load generator, provider, Redis, NATS and Postgres share the other. The recorder is paused during the load and then books all of it, alone.',
      'Before each part Postgres vacuums and writes out what was put into it, some seconds of load warm up the services, and Redis compacts its append-only file.',
      `The keys are called at random: ${few.keys} of one tenant, then the same after ${english(USAGE_ROWS)} usage rows of ${english(1_000)} other tenants were put into the ledger, then`,
      `${english(manyKeys.keys)} keys of ${manyKeys.tenants} tenants, then ${english(manyTenants.keys)} more of ${english(manyTenants.tenants)}, each called at least once before. The edge keeps all keys (\`edge.key_cache_entries\`).`,
      'Redis rewrites its append-only file whenever that has doubled, in a process of its own, whose CPU stands for itself.',
    ],
    columns: [
      'path',
      'virtual keys',
      'tenants',
      'usage rows before',
      'requests/s',
      'p50',
      'p99',
      'failures',
      'CPU per request: gateway',
      'Redis',
      'its rewriting',
      'NATS',
      'CPU per booked event: recorder',
      'Postgres',
      'memory of the edge',
    ],
    rows: [
      ['ungoverned', '', '', '', ...loadCells(ungoverned), micros(ungoverned.cpu['gateway']), '', '', '', '', '', ''],
      ...[few, full, manyKeys, manyTenants].map(({ keys, tenants, rows, load, redisRewriting, booked, edgeMib }) => [
        'governed',
        english(keys),
        english(tenants),
        english(rows),
        ...loadCells(load),
        micros(load.cpu['gateway']),
        micros(load.cpu['redis']! - redisRewriting),
        micros(redisRewriting),
        micros(load.cpu['nats']),
        micros(booked.recorder),
        micros(booked.postgres),
        `${edgeMib} MiB`,
      ]),
    ],
    more: [storesTable(stores)],
    findings: findings(figures, stores),
  });
}

function storesTable(stores: Stores) {
  return {
    title: 'The two Redis calls alone',
    method: [
      `${english(REQUESTS)} requests, ${CONCURRENCY} at a time over one connection, in batches: one admission and one settlement each, then released in groups of up to ${RELEASE_AT_ONCE} as the recorder does. The keys are called in turn, as if ${english(SIMULATED_PER_SECOND)} requests came per second, and each was called at least three times before. Redis has its append-only file on; what rewriting it takes is not in these figures.`,
    ],
    columns: ['virtual keys', 'tenants', 'attempts waiting to be booked', 'per second', 'Redis per request', 'Redis per release', 'client per request'],
    rows: [...stores].map(([{ keys, tenants, waiting }, one]) => [
      english(keys),
      english(tenants),
      english(waiting),
      one.perSecond,
      micros(one.redisMicros),
      micros(one.releaseMicros),
      micros(one.clientMicros),
    ]),
  };
}

function findings({ ungoverned, few, full, manyKeys, manyTenants }: GovernedFigures, stores: Stores): string[] {
  const ratio = (a: number, b: number): string => (a / b).toFixed(2);
  const cost = ({ load }: Governed): number => load.cpu['gateway']! + load.cpu['redis']! + load.cpu['nats']!;
  const redisServing = ({ load, redisRewriting }: Governed): number => load.cpu['redis']! - redisRewriting;
  const booking = ({ booked }: Governed): number => booked.recorder + booked.postgres;
  const besideFew = (many: Governed): string =>
    `${ratio(cost(many), cost(few))} times what it costs with ${few.keys} (gateway, Redis and NATS together; the gateway alone ${ratio(many.load.cpu['gateway']!, few.load.cpu['gateway']!)}, Redis without its rewriting ${ratio(redisServing(many), redisServing(few))}), a booked event ${ratio(booking(many), booking(few))} times (recorder and Postgres together)`;
  const redisBesideFew = (shape: StoreShape): string => ratio(stores.get(shape)!.redisMicros, stores.get(FEW)!.redisMicros);
  return [
    `One core of gateway carries ${english(Math.round(1e6 / few.load.cpu['gateway']!))} governed requests per second by its CPU per request, the ungoverned proxy ${english(Math.round(1e6 / ungoverned.cpu['gateway']!))}: governance and everything else that the gateway does cost ${ratio(few.load.cpu['gateway']!, ungoverned.cpu['gateway']!)} times a bare proxy's CPU.`,
    ...[manyKeys, manyTenants].map((many) => `With ${english(many.keys)} keys of ${english(many.tenants)} tenants a request costs ${besideFew(many)}.`),
    `With ${english(full.rows)} usage rows a request costs ${ratio(cost(full), cost(few))} times what it cost with ${english(few.rows)}, a booked event ${ratio(booking(full), booking(few))} times.`,
    `In the two Redis calls alone, ${english(MANY_KEYS.keys)} keys of ${MANY_KEYS.tenants} tenants cost Redis ${redisBesideFew(MANY_KEYS)} times what ${FEW.keys} keys cost per request, as many of ${english(MANY_TENANTS.tenants)} tenants ${redisBesideFew(MANY_TENANTS)} times; ${english(WAITING.waiting)} attempts that wait to be booked make a request cost ${redisBesideFew(WAITING)} times as much.`,
    `One Redis core carries about ${english(Math.round(1e6 / stores.get(FEW)!.redisMicros))} governed requests per second in shared pipelines.`,
  ];
}

const loadCells = ({ perSecond, p50Ms, p99Ms, failures }: LoadResult): (string | number)[] => [
  Math.round(perSecond),
  `${p50Ms.toFixed(2)} ms`,
  `${p99Ms.toFixed(2)} ms`,
  failures,
];

try {
  await main();
} finally {
  await cleanUp();
}
