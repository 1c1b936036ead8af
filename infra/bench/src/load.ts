import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from '@omg/testkit';
import { cpuMicros } from './processes.ts';

export interface LoadResult {
  requests: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Answers other than 2xx and 3xx, and socket errors. */
  failures: number;
}

export interface LoadOptions {
  url: string;
  connections: number;
  seconds: number;
  headers: Record<string, string>;
  body: string;
  /** Virtual keys to call with instead of one `authorization` header: one after the other from the first, or at random. */
  keys?: { tokens: readonly string[]; order: 'in turn' | 'random' };
}

const UNIT_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

function milliseconds(text: string): number {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text);
  if (!match) throw new Error(`wrk measured no latency: ${text}`);
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** wrk asks `request` for the bytes of every request. */
function callWithKeys({ tokens, order }: NonNullable<LoadOptions['keys']>, folder: string): string[] {
  const file = join(folder, 'tokens');
  writeFileSync(file, tokens.join('\n'));
  const pick = order === 'random' ? 'math.random(#tokens)' : 'called % #tokens + 1';
  return [
    'local tokens, called = {}, 0',
    `for token in io.lines(${JSON.stringify(file)}) do tokens[#tokens + 1] = "Bearer " .. token end`,
    'function request()',
    `  wrk.headers["authorization"] = tokens[${pick}]`,
    '  called = called + 1',
    '  return wrk.format()',
    'end',
  ];
}

/** One run of wrk: closed loop, one thread, POST with a fixed body. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const folder = temporaryFolder();
  const script = join(folder, 'post.lua');
  const headers = Object.entries(options.headers).map(([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`);
  const keys = options.keys ? callWithKeys(options.keys, folder) : [];
  writeFileSync(script, ['wrk.method = "POST"', ...headers, `wrk.body = ${JSON.stringify(options.body)}`, ...keys].join('\n'));
  const args = ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--latency', '-s', script, options.url];
  const { stdout } = await promisify(execFile)('wrk', args);
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0);
  const socketErrors = [...stdout.matchAll(/(?:connect|read|write|timeout) (\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
  return {
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: milliseconds(/^\s+50%\s+(\S+)/m.exec(stdout)![1]!),
    p99Ms: milliseconds(/^\s+99%\s+(\S+)/m.exec(stdout)![1]!),
    failures: number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors,
  };
}

/** Runs `work` and tells the CPU microseconds per request of each process. */
export async function withCpu<T extends { requests: number }>(
  pids: Record<string, number>,
  work: () => Promise<T>,
): Promise<T & { cpu: Record<string, number> }> {
  const before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuMicros(pid)]));
  const result = await work();
  const cpu = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, (cpuMicros(pid) - before[name]!) / Math.max(1, result.requests)]));
  return { ...result, cpu };
}
