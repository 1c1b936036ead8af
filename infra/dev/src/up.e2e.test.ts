import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ROOT } from './paths.ts';
import { identify, isRunning, processesOfRun } from './processes.ts';
import type { StackState } from './state.ts';

/** A stack of its own, beside whatever the developer runs: other folder, other ports, private stores. */
const folder = mkdtempSync(join(tmpdir(), 'omg up '));
const env = Object.fromEntries(Object.entries({ ...process.env, OMG_FOLDER: folder }).filter(([name]) => !name.startsWith('ROUTER_')));

async function omg(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(ROOT, 'infra', 'dev', 'src', 'omg.ts'), ...args],
    { env },
  );
  return stdout;
}

async function readEnv(): Promise<Record<string, string>> {
  const lines = (await omg('env')).trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

const PROCESSES = ['POSTGRES_PID', 'REDIS_PID', 'NATS_PID', 'DEMO_PROVIDER_PID', 'ADMIN_PID', 'EDGE_PID', 'RECORDER_PID', 'MONITOR_PID', 'SUPERVISOR_PID'];

async function ask(edgeUrl: string): Promise<number> {
  const response = await fetch(`${edgeUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-demo.my-secret', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo-chat', messages: [{ role: 'user', content: 'Hi' }] }),
  });
  await response.arrayBuffer();
  return response.status;
}

describe('./omg up --detach', () => {
  beforeAll(async () => {
    expect(await omg('up', '--detach')).toContain('Open Model Gateway is running.');
  });

  afterAll(async () => {
    await omg('down');
    rmSync(folder, { recursive: true, force: true });
  });

  it('serves the demo key as soon as it returns, and names every process', async () => {
    const values = await readEnv();
    expect(Object.keys(values)).toEqual(
      expect.arrayContaining([
        ...PROCESSES,
        'ROUTER_DB_URL',
        'ROUTER_REDIS_URL',
        'ROUTER_NATS_URL',
        'ADMIN_URL',
        'RECORDER_URL',
        'MONITOR_URL',
        'DEMO_API_KEY',
        'DEMO_ADMIN_EMAIL',
        'DEMO_ADMIN_PASSWORD',
      ]),
    );
    expect(await ask(values['EDGE_URL']!)).toBe(200);
  });

  it('reload tells of every service what became of it', async () => {
    const lines = (await omg('reload')).trim().split('\n');
    expect(lines).toEqual(['admin-api', 'edge-gateway', 'usage-recorder', 'health-monitor'].map((name) => `${name}: nothing changed`));
  });

  it('starts a killed service again at its address', async () => {
    const before = await readEnv();
    process.kill(Number(before['EDGE_PID']), 'SIGKILL');
    const deadline = Date.now() + 120_000;
    for (let status = 0; status !== 200; status = await ask(before['EDGE_URL']!).catch(() => 0)) {
      if (Date.now() > deadline) throw new Error('the edge did not come back');
      await delay(100);
    }
    const after = await readEnv();
    expect(after['EDGE_PID']).not.toBe(before['EDGE_PID']);
    expect(after['EDGE_URL']).toBe(before['EDGE_URL']);
  });

  it('called again says what runs instead of starting it twice', async () => {
    const before = await readEnv();
    expect(await omg('up', '--detach')).toContain(before['EDGE_URL']);
    expect(await readEnv()).toEqual(before);
  });

  it('after down nothing is left running, and the next up has the data again', async () => {
    const before = await readEnv();
    const identities = PROCESSES.map((name) => identify(Number(before[name]))!);
    await omg('down');
    expect(identities.filter(isRunning)).toEqual([]);
    await expect(omg('env')).rejects.toThrow('no stack is running');
    await omg('up', '--detach');
    expect(await ask((await readEnv())['EDGE_URL']!)).toBe(200);
  });

  it('down cleans up after a supervisor that was killed', async () => {
    const before = await readEnv();
    const identities = PROCESSES.map((name) => identify(Number(before[name]))!);
    process.kill(Number(before['SUPERVISOR_PID']), 'SIGKILL');
    await omg('down');
    expect(identities.filter(isRunning)).toEqual([]);
  });

  it('of two that are called at once one starts the stack and the other says so; the state is that of the first', async () => {
    const outcomes = await Promise.allSettled([omg('up', '--detach'), omg('up', '--detach')]);
    const values = await readEnv();
    // Whichever came second: it met a stack that was starting or, where a busy machine let it wait for so long, one that runs.
    const told = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason)));
    const known = [values['EDGE_URL']!, 'another ./omg up is starting right now'];
    expect(told.filter((text) => !known.some((words) => text.includes(words)))).toEqual([]);
    expect(outcomes.map(({ status }) => status)).toContain('fulfilled');
    const identities = PROCESSES.map((name) => identify(Number(values[name]))!);
    expect(await ask(values['EDGE_URL']!)).toBe(200);
    await omg('down');
    expect(identities.filter(isRunning)).toEqual([]);
  });

  it('explains a command instead of carrying it out when asked for help', async () => {
    expect(await omg('up', '--help')).toContain('start everything');
    await expect(omg('env')).rejects.toThrow('no stack is running');
  });
});

describe('./omg up in the foreground', () => {
  it('leaves nothing behind when it is interrupted in the middle of its start', async () => {
    const own = mkdtempSync(join(tmpdir(), 'omg interrupted '));
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'infra', 'dev', 'src', 'omg.ts'), 'up'], {
      env: { ...env, OMG_FOLDER: own },
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // The first store runs, the services do not yet.
    let state: StackState | undefined;
    const deadline = Date.now() + 120_000;
    while ((state?.processes.length ?? 0) === 0) {
      if (Date.now() > deadline) throw new Error('the start did not begin');
      await delay(20);
      const file = join(own, 'run', 'state.json');
      if (existsSync(file)) state = JSON.parse(readFileSync(file, 'utf8')) as StackState;
    }
    child.kill('SIGINT');
    await ended;
    expect(processesOfRun(state!.runId).filter(isRunning)).toEqual([]);
    expect(existsSync(join(own, 'run', 'state.json'))).toBe(false);
    rmSync(own, { recursive: true, force: true });
  });
});
