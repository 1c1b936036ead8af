import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { logFileOfApp } from './app-process.ts';
import { APPS } from './apps.ts';
import { signalProcess } from './processes.ts';
import { requireStack } from './stack-commands.ts';

const POLL_MS = 50;
const ANSWER_MAX_MS = 60_000;
const READ_BYTES_MAX = 1024 * 1024;

interface LogLine {
  msg?: string;
  /** What could not take its changed settings. */
  part?: string;
  err?: { message?: string };
  warning?: string;
  problems?: string[];
  applied?: string[];
  needRestart?: string[];
}

interface Outcome {
  text: string;
  isRefused: boolean;
}

const sizeOf = (file: string): number => (existsSync(file) ? statSync(file).size : 0);

function linesSince(file: string, from: number): LogLine[] {
  const bytes = Buffer.alloc(Math.min(Math.max(0, sizeOf(file) - from), READ_BYTES_MAX));
  if (bytes.length === 0) return [];
  const log = openSync(file, 'r');
  try {
    readSync(log, bytes, 0, bytes.length, from);
  } finally {
    closeSync(log);
  }
  return bytes
    .toString()
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as LogLine];
      } catch {
        // Half a line: it is whole at the next look.
        return [];
      }
    });
}

export function outcomeOf(lines: readonly LogLine[]): Outcome | undefined {
  const refused = lines.find(({ problems }) => problems !== undefined);
  if (refused) return { isRefused: true, text: `refused, nothing changed: ${refused.problems!.join('; ')}` };
  const reloaded = lines.find(({ msg }) => msg === 'configuration reloaded');
  if (!reloaded) return undefined;
  const { applied = [], needRestart = [] } = reloaded;
  const failed = lines.flatMap(({ part, err }) => (part === undefined ? [] : [`${part} failed: ${err?.message ?? 'see ./omg logs'}`]));
  const parts = [
    ...(applied.length > 0 ? [`applied ${applied.join(', ')}`] : []),
    ...(needRestart.length > 0 ? [`takes effect at the next start: ${needRestart.join(', ')}`] : []),
    ...failed,
    // Among them each catalog entry whose route is switched off. The secrets that a profile fills in are no news.
    ...lines.flatMap(({ warning }) => (warning === undefined || warning.includes('well-known value') ? [] : [warning])),
  ];
  return { isRefused: failed.length > 0, text: parts.join('; ') || 'nothing changed' };
}

/** `./omg reload`: every service of the stack reads its configuration again and tells what became of it. 1: one refused it, failed to apply it, or did not answer. */
export async function reloadCommand(): Promise<number> {
  const services = requireStack().processes.filter(({ name }) => name !== 'demo-provider' && APPS.some((app) => app.name === name));
  const told = services.map(({ name, identity }) => {
    const file = logFileOfApp(name);
    const from = sizeOf(file);
    return { name, file, from, isRunning: signalProcess(identity, 'SIGHUP') };
  });
  const deadline = Date.now() + ANSWER_MAX_MS;
  let exitCode = 0;
  for (const { name, file, from, isRunning } of told) {
    let outcome = isRunning ? outcomeOf(linesSince(file, from)) : { isRefused: true, text: 'not running' };
    while (outcome === undefined && Date.now() < deadline) {
      await delay(POLL_MS);
      outcome = outcomeOf(linesSince(file, from));
    }
    process.stdout.write(`${name}: ${outcome?.text ?? 'no answer; see ./omg logs'}\n`);
    if (outcome === undefined || outcome.isRefused) exitCode = 1;
  }
  return exitCode;
}
