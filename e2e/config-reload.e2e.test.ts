import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { cleanUp, startStack, TEST_ADMIN, TEST_KEY, waitFor, type RunningApp, type TestStack } from '@omg/testkit';
import { readFileSync, writeFileSync } from 'node:fs';

/** One running stack whose configuration file is edited while it works; no process is started again. */

type Settings = Record<string, any>;

let stack: TestStack;
const apps = (): RunningApp[] => [stack.edge, stack.admin, stack.recorder, stack.monitor];

beforeAll(async () => {
  stack = await startStack({ config: { rate_limits: { default_requests_per_minute: 5000, default_tokens_per_minute: 1_000_000 } } });
});
afterAll(cleanUp);

/** Edits the file, sends SIGHUP to all services, and resolves with what each logged about it. */
async function reload(edit: (config: Settings) => void): Promise<Record<string, Settings>> {
  const file = stack.env['ROUTER_CONFIG_FILE']!;
  const config = JSON.parse(readFileSync(file, 'utf8')) as Settings;
  edit(config);
  writeFileSync(file, JSON.stringify(config));
  const isOutcome = (line: Settings) => line['msg'] === 'configuration reloaded' || /changed configuration is refused/.test(line['msg'] as string);
  const outcomes = apps().map(async (app) => {
    const before = app.logs.filter(isOutcome).length;
    app.signal('SIGHUP');
    await waitFor(() => app.logs.filter(isOutcome).length > before, { what: `${app.app} to reload` });
    return [app.app, app.logs.findLast(isOutcome)!] as const;
  });
  return Object.fromEntries(await Promise.all(outcomes));
}

const ask = (model: string) =>
  fetch(`${stack.edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] }),
  });

it('takes new models, limits, budgets, people and the log level from the file while calls go on', async () => {
  const pids = apps().map((app) => app.pid);
  expect((await ask('added-later')).status).toBe(404);
  const outcome = await reload((config) => {
    config['model_catalog'].push({ ...config['model_catalog'][0], alias: 'added-later' });
    config['rate_limits'].default_requests_per_minute = 4321;
    config['budgets'] = { default_usd: 77 };
    config['bootstrap'].tenants.push({ name: 'second' });
    config['observability'].log_level = 'debug';
    config['server'].stream_idle_timeout = '29s';
  });
  expect(outcome['admin-api']!['applied']).toEqual(
    expect.arrayContaining(['model_catalog', 'rate_limits.default_requests_per_minute', 'budgets.default_usd', 'bootstrap.tenants', 'observability.log_level']),
  );
  expect(outcome['edge-gateway']!['applied']).toEqual(expect.arrayContaining(['server.stream_idle_timeout', 'observability.log_level']));
  expect(outcome['usage-recorder']!['applied']).toEqual(expect.arrayContaining(['budgets.default_usd']));
  await waitFor(async () => (await ask('added-later')).status === 200, { what: 'the new model to answer' });
  await waitFor(async () => (await ask('test-chat')).headers.get('x-ratelimit-limit-requests') === '4321', { what: 'the new limit to count' });
  await waitFor(async () => (await ask('test-chat')).headers.get('x-budget-limit-usd') === '77', { what: 'the new budget to count' });
  const login = await fetch(`${stack.admin.url}/admin/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(TEST_ADMIN),
  });
  const { access_token: token } = (await login.json()) as { access_token: string };
  const tenants = await fetch(`${stack.admin.url}/admin/tenants`, { headers: { authorization: `Bearer ${token}` } });
  expect(await tenants.text()).toContain('"second"');
  expect(apps().map((app) => app.pid)).toEqual(pids);
});

it('keeps everything when the file has a mistake, and says what and where', async () => {
  const outcome = await reload((config) => {
    config['rate_limits'].default_requests_per_minute = -1;
    config['observability'].log_level = 'loud';
  });
  for (const line of Object.values(outcome)) expect(line).toMatchObject({ level: 'error' });
  expect(JSON.stringify(outcome['admin-api']!['problems'])).toMatch(/ROUTER_RATE_LIMITS_DEFAULT_REQUESTS_PER_MINUTE.*ROUTER_OBSERVABILITY_LOG_LEVEL/);
  expect((await ask('added-later')).headers.get('x-ratelimit-limit-requests')).toBe('4321');
});

it('names what waits for a restart, and leaves it as it is', async () => {
  const outcome = await reload((config) => {
    config['rate_limits'].default_requests_per_minute = 4321;
    config['observability'].log_level = 'info';
    config['redis'] = { command_timeout: '3s' };
  });
  expect(outcome['admin-api']).toMatchObject({ applied: ['observability.log_level'], needRestart: ['redis.command_timeout'] });
  expect((await ask('test-chat')).status).toBe(200);
});
