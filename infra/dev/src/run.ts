import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { ROOT } from './paths.ts';
import { CommandError } from './terminal.ts';

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  /** Default: the repository's root. */
  cwd?: string;
  /** `inherit` shows the program's output as it comes; `capture` (default) returns it. */
  output?: 'inherit' | 'capture';
}

export interface RunResult {
  /** 128 + n stands for a signal's end. */
  exitCode: number;
  /** stdout and stderr in order of arrival; empty when inherited. */
  output: string;
  durationMs: number;
}

const OUTPUT_CHARS_MAX = 4_000_000;

/** Runs a program to its end. A program that cannot be started counts as exit code 127. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const startedAt = performance.now();
  const inherit = options.output === 'inherit';
  return new Promise((resolve) => {
    const child = spawn(command, [...args], {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...options.env },
      // What a program prints while it works belongs to stderr here: stdout is the command's own answer.
      stdio: inherit ? ['ignore', 2, 2] : ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (bytes: Buffer): void => {
      if (output.length < OUTPUT_CHARS_MAX) output += bytes.toString();
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    const finish = (exitCode: number): void => resolve({ exitCode, output, durationMs: performance.now() - startedAt });
    child.once('error', (error) => {
      output += String(error);
      finish(127);
    });
    child.once('close', (code, signal) => finish(code ?? (signal === null ? 1 : 128)));
  });
}

/** As `run`, but a failure ends the command with the program's output. */
export async function mustRun(what: string, command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await run(command, args, options);
  if (result.exitCode !== 0) throw new CommandError(`${what} failed (exit code ${result.exitCode})\n${result.output.slice(-8000)}`);
  return result;
}
