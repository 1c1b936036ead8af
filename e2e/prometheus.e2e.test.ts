import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  cleanUp,
  documentedCommands,
  repositoryRoot,
  startFakeUpstream,
  startService,
  startStack,
  TEST_ADMIN,
  TEST_KEY,
  waitFor,
  type TestStack,
} from '@omg/testkit';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { prometheusProgram, startPrometheus, type RunningPrometheus } from './support/prometheus.js';

/** A real Prometheus scrapes a running stack under some load, and is asked everything that the dashboards and the alert rules ask. */

const run = promisify(execFile);
const RULES = join(repositoryRoot(), 'infra', 'prometheus', 'rules', 'gateway.yaml');
const DASHBOARDS = join(repositoryRoot(), 'infra', 'grafana', 'dashboards');
/** What Grafana puts in for its variables at this scrape interval. */
const RATE_INTERVAL = '15s';
const RANGE = '1m';

/** Panels that are empty in a healthy system, and stay so in this test, with the reason. */
const EMPTY: Readonly<Record<string, string>> = {
  'Gateway: usage pipeline: Waiting for a dependency': 'counts pauses while Postgres, Redis or NATS is away',
};

interface Panel {
  title: string;
  targets: { expr: string; legendFormat: string }[];
}

const dashboards = readdirSync(DASHBOARDS).map((file) => JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as { title: string; panels: Panel[] });
const panels = dashboards.flatMap(({ title, panels: own }) => own.map((panel) => [`${title}: ${panel.title}`, panel] as const));

let stack: TestStack;
let prometheus: RunningPrometheus;
let token: string;
let load: { stop(): Promise<void> };

async function post(path: string, body: object): Promise<void> {
  const response = await fetch(`${stack.edge.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
}

/** Something that the edges are told about. */
async function changeConfiguration(turn: number): Promise<void> {
  const response = await fetch(`${stack.admin.url}/admin/tenants`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: `tenant ${turn}` }),
  });
  await response.arrayBuffer();
}

/** A bit of everything: whole and streamed answers, embeddings, failures of a provider, refusals. */
function startCalls(): { stop(): Promise<void> } {
  const messages = [{ role: 'user', content: 'Hello!' }];
  const calls = [
    () => post('/v1/chat/completions', { model: 'test-chat', messages }),
    () => post('/v1/chat/completions', { model: 'test-chat', messages, stream: true }),
    () => post('/v1/embeddings', { model: 'test-embed', input: 'Hello!' }),
    () => post('/v1/chat/completions', { model: 'broken', messages }),
    () => post('/v1/chat/completions', { model: 'nobody-has-it', messages }),
  ];
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    for (let turn = 0; !stopping.signal.aborted; turn += 1) {
      if (turn % 25 === 0) await changeConfiguration(turn);
      await calls[turn % calls.length]!();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const running = loop();
  return { stop: async () => (stopping.abort(), running) };
}

beforeAll(async () => {
  const [broken, provider] = await Promise.all([
    startFakeUpstream((exchange) => exchange.respond(exchange.request.method === 'GET' ? 200 : 500, {})),
    startService('demo-provider', { DEMO_STATIC: '1' }),
  ]);
  const route = { provider: 'openai-compatible', endpoint: `${provider.url}/v1`, api_key: 'upstream-key' };
  stack = await startStack({
    upstreamUrl: `${provider.url}/v1`,
    config: {
      health: { check_interval: '1s', cooldown: '1s' },
      budgets: { default_usd: 1000, warning_threshold_perc: 1e-12, alert: { enabled: true, webhooks: [`${broken.origin}/hook`], webhook: { max_retries: 1 } } },
      model_catalog: [
        { ...route, alias: 'test-chat', provider_model: 'demo-chat', price_input: 0.0005, price_output: 0.0015 },
        { ...route, alias: 'test-embed', provider_model: 'demo-embed', model_type: 'embedding', modalities: ['embeddings'], price_input: 0.00002 },
        { ...route, alias: 'broken', provider_model: 'broken', endpoint: `${broken.origin}/v1` },
      ],
    },
  });
  prometheus = await startPrometheus({
    jobs: {
      'edge-gateway': stack.edge.url,
      'admin-api': stack.admin.url,
      'usage-recorder': stack.recorder.url,
      'health-monitor': stack.monitor.url,
    },
    ruleFile: RULES,
  });
  // A counter that has just appeared has not risen yet: the first scrape comes before the load.
  await waitFor(async () => (await prometheus.query('up == 1')).length === 4, { what: 'a scrape of every service' });
  const login = await fetch(`${stack.admin.url}/admin/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(TEST_ADMIN),
  });
  token = ((await login.json()) as { access_token: string }).access_token;
  load = startCalls();
});

afterAll(async () => {
  await load?.stop();
  await cleanUp();
});

describe('a real Prometheus', () => {
  it('gets an answer from every service', async () => {
    const jobs = (await prometheus.query('up')).map(({ metric }) => metric['job']);
    expect(jobs.toSorted()).toEqual(['admin-api', 'edge-gateway', 'health-monitor', 'usage-recorder']);
    const errors = async (): Promise<string[]> =>
      (await prometheus.get('/api/v1/targets')).activeTargets.map((target: { lastError: string }) => target.lastError);
    await waitFor(async () => (await errors()).every((error) => error === ''), { what: 'a scrape of every service without an error' });
  });

  it('finds data for every panel of every dashboard, with a value for each label of its legend', async () => {
    const missing = new Map<string, string>();
    const ask = async (): Promise<boolean> => {
      missing.clear();
      for (const [name, panel] of panels) {
        for (const { expr, legendFormat } of panel.targets) {
          const samples = await prometheus.query(expr.replaceAll('$__rate_interval', RATE_INTERVAL).replaceAll('$__range', RANGE));
          const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]!);
          const complete = samples.filter(({ metric, value }) => Number.isFinite(value) && labels.every((label) => (metric[label] ?? '') !== ''));
          if (complete.length === 0) missing.set(name, expr);
        }
      }
      return [...missing.keys()].every((name) => name in EMPTY);
    };
    await waitFor(ask, { intervalMs: 1000, timeoutMs: 180_000, what: 'data in every panel' }).catch(() => undefined);
    expect(Object.fromEntries(missing)).toEqual(Object.fromEntries([...missing].filter(([name]) => name in EMPTY)));
    for (const name of Object.keys(EMPTY)) expect(panels.map(([known]) => known)).toContain(name);
  });

  it('knows of every service which connections stand', async () => {
    const standing = async (): Promise<string[]> => {
      const samples = await prometheus.query('open_model_gateway_connection_up == 1');
      return samples.map(({ metric }) => `${metric['job']} ${metric['dependency']}`).toSorted();
    };
    await waitFor(async () => (await standing()).length === 9, { what: 'every connection to stand' });
    expect(await standing()).toEqual([
      'admin-api nats',
      'admin-api postgres',
      'admin-api redis',
      'edge-gateway nats',
      'edge-gateway redis',
      'health-monitor nats',
      'usage-recorder nats',
      'usage-recorder postgres',
      'usage-recorder redis',
    ]);
  });

  it('evaluates every alert rule, and a service that ends raises its own', async () => {
    type Rule = { name: string; health: string; state: string };
    const rules = async () => ((await prometheus.get('/api/v1/rules')).groups as { rules: Rule[] }[]).flatMap((group) => group.rules);
    const written = [...readFileSync(RULES, 'utf8').matchAll(/- alert: (\w+)/g)].map((match) => match[1]!);
    await waitFor(async () => (await rules()).every(({ health }) => health === 'ok'), { what: 'an evaluation of every rule' });
    expect((await rules()).map(({ name }) => name).toSorted()).toEqual(written.toSorted());
    const stateOf = async (wanted: string) => (await rules()).find(({ name }) => name === wanted)?.state;
    await waitFor(async () => (await stateOf('ServiceDown')) === 'inactive', { what: 'every service to be up' });
    await stack.monitor.stop();
    await waitFor(async () => (await stateOf('ServiceDown')) === 'pending', { what: 'the alert about the monitor' });
    stack.monitor = await stack.monitor.again();
  });
});

describe('promtool', () => {
  it('passes the unit tests of the alert rules', async () => {
    const promtool = await prometheusProgram('promtool');
    const [command] = documentedCommands(import.meta.filename, 'docs/guides/observability.md');
    const env = { ...process.env, PATH: `${dirname(promtool)}:${process.env['PATH']}` };
    const { stdout } = await run('sh', ['-euc', command!], { cwd: repositoryRoot(), env });
    expect(stdout).toContain('SUCCESS');
    const checked = await run(promtool, ['check', 'rules', RULES]);
    expect(checked.stdout).toContain('SUCCESS');
  });

  it('accepts the Prometheus configuration of the compose file', async () => {
    const { stdout } = await run(await prometheusProgram('promtool'), [
      'check',
      'config',
      '--syntax-only',
      join(repositoryRoot(), 'infra', 'prometheus', 'prometheus.yaml'),
    ]);
    expect(stdout).toContain('SUCCESS');
  });

  it.each(['edge', 'admin', 'recorder', 'monitor'] as const)('has nothing to say about the metrics of %s', async (name) => {
    const text = await (await fetch(`${stack[name].url}/metrics`)).text();
    const child = run(await prometheusProgram('promtool'), ['check', 'metrics']);
    child.child.stdin!.end(text);
    const { stdout, stderr } = await child.catch((error: { stdout: string; stderr: string }) => error);
    // Metrics of Node's own come from prom-client as they are.
    expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes('open_model_gateway_'))).toEqual([]);
  });
});
