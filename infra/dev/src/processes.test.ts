import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from '@jest/globals';
import { KeepAlive } from './keep-alive.ts';
import {
  identify,
  isRunning,
  processesOfRun,
  RUN_ID_VARIABLE,
  signalProcess,
  startProcess,
  stopProcess,
  waitForExit,
  type StartedProcess,
} from './processes.ts';

const HANG = ['-e', 'setInterval(() => undefined, 1000)'];
const started: StartedProcess[] = [];

async function hanging(env: NodeJS.ProcessEnv = {}, script = HANG): Promise<StartedProcess> {
  const child = await startProcess(process.execPath, script, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...env } });
  started.push(child);
  return child;
}

afterEach(async () => {
  for (const { identity } of started.splice(0)) await stopProcess(identity, 'SIGKILL', 1000);
});

describe('processes', () => {
  it('are never signalled when only the id matches', async () => {
    const { identity } = await hanging();
    const stranger = { pid: identity.pid, startTime: 'another life' };
    expect(isRunning(stranger)).toBe(false);
    expect(signalProcess(stranger, 'SIGKILL')).toBe(false);
    await stopProcess(stranger, 'SIGKILL', 100);
    expect(isRunning(identity)).toBe(true);
  });

  it('that ignore SIGTERM are killed after the grace time', async () => {
    const child = await hanging({}, ['-e', "process.on('SIGTERM', () => undefined); process.stdout.write('up'); setInterval(() => undefined, 1000)"]);
    await new Promise((resolve) => child.child.stdout!.once('data', resolve));
    await stopProcess(child.identity, 'SIGTERM', 100);
    expect(await child.exited).toBe('SIGKILL');
    expect(identify(child.identity.pid)).toBeUndefined();
  });

  it('of a run are found by its mark, and no others', async () => {
    const runId = randomUUID();
    const marked = await hanging({ [RUN_ID_VARIABLE]: runId });
    await hanging({ [RUN_ID_VARIABLE]: randomUUID() });
    expect(processesOfRun(runId).map(({ pid }) => pid)).toEqual([marked.identity.pid]);
  });

  it('that cannot be started reject', async () => {
    await expect(startProcess('/no/such/program', [], {})).rejects.toThrow('ENOENT');
  });
});

describe('KeepAlive', () => {
  it('starts again what was killed, and not what was released', async () => {
    let restarted: (child: StartedProcess) => void = () => undefined;
    const again = new Promise<StartedProcess>((resolve) => (restarted = resolve));
    const kept = new KeepAlive('test', await hanging(), async () => {
      const child = await hanging();
      restarted(child);
      return child;
    });
    const first = kept.current.identity;
    signalProcess(first, 'SIGKILL');
    const second = await again;
    expect(second.identity.pid).not.toBe(first.pid);
    const count = started.length;
    kept.release();
    await stopProcess(second.identity, 'SIGTERM', 60_000);
    await waitForExit(second.identity, 60_000);
    expect(started).toHaveLength(count);
  });
});
