import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ROOT } from './paths.ts';

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Without a running stack, which the commands here must not need. */
function omg(...args: string[]): Promise<Ended> {
  const env = { ...process.env, OMG_FOLDER: join(ROOT, '.omg', 'no-such-stack') };
  const command = ['--disable-warning=ExperimentalWarning', join(ROOT, 'infra', 'dev', 'src', 'omg.ts'), ...args];
  return new Promise((resolve) =>
    execFile(process.execPath, command, { env }, (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr })),
  );
}

describe('./omg', () => {
  it.each([
    ['frob', 'omg: unknown command "frob"; ./omg help lists them\n'],
    ['up extra', 'omg: up does not know "extra"\n'],
    ['down --now', 'omg: down takes nothing, not "--now"\n'],
    ['env x', 'omg: env takes nothing, not "x"\n'],
    ['doctor x', 'omg: doctor takes nothing, not "x"\n'],
    ['reload x', 'omg: reload takes nothing, not "x"\n'],
    ['migrate x', 'omg: migrate takes nothing, not "x"\n'],
    ['logs -x', 'omg: logs does not know "-x"\n'],
    ['seed 5 6', 'omg: seed takes a number of requests from 1 to 100000\n'],
  ])('%s is answered by one sentence, not ignored and not a stack', async (words, sentence) => {
    expect(await omg(...words.split(' '))).toEqual({ code: 1, stdout: '', stderr: sentence });
  });

  it('lists its commands within the width of a page, and says more about each', async () => {
    const { stdout } = await omg('help');
    expect(stdout.split('\n').filter((line) => line.length > 140)).toEqual([]);
    expect((await omg('bench', '--help')).stdout).toMatch(/edge, peers, providers, governance/);
    expect((await omg('test', '--help')).stdout).toMatch(/real-model, soak, checks/);
    expect((await omg('verify', '--help')).stdout).toMatch(/--days n .*\n--wait seconds .*\n--running /);
  });
});
