import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { APPS } from './apps.ts';
import { LOG_FOLDER, OMG_FOLDER } from './paths.ts';
import { isRunning } from './processes.ts';
import { runningStack, type StackState } from './state.ts';
import { CommandError } from './terminal.ts';

export function requireStack(): StackState {
  const state = runningStack();
  if (state === undefined || !state.ready) throw new CommandError('no stack is running: ./omg up --detach');
  return state;
}

function pidVariable(processName: string): string {
  const app = APPS.find(({ name }) => name === processName);
  return `${app?.prefix ?? processName.toUpperCase()}_PID`;
}

/** `./omg env`: KEY=value lines, fit for `export $(./omg env | xargs)`. */
export async function envCommand(): Promise<number> {
  const state = requireStack();
  const pids = state.processes.filter(({ identity }) => isRunning(identity)).map(({ name, identity }) => [pidVariable(name), String(identity.pid)]);
  for (const [name, value] of [...Object.entries(state.env), ...pids, ['SUPERVISOR_PID', String(state.supervisor.pid)]])
    process.stdout.write(`${name}=${value}\n`);
  return 0;
}

function logFiles(names: readonly string[]): string[] {
  const own = existsSync(LOG_FOLDER) ? readdirSync(LOG_FOLDER).map((file) => join(LOG_FOLDER, file)) : [];
  const services = ['postgres', 'redis', 'nats'].map((name) => join(OMG_FOLDER, 'data', name, `${name}.log`)).filter((file) => existsSync(file));
  const all = [...own, ...services].filter((file) => file.endsWith('.log'));
  const byName = new Map(all.map((file) => [file.slice(file.lastIndexOf('/') + 1, -'.log'.length), file]));
  const missing = names.find((name) => !byName.has(name));
  if (missing !== undefined || all.length === 0) throw new CommandError(`no log ${missing ?? ''}; there are: ${[...byName.keys()].join(', ') || 'none yet'}`);
  return names.length === 0 ? own : names.map((name) => byName.get(name)!);
}

/** `./omg logs [-f] [name ...]` */
export async function logsCommand(args: readonly string[]): Promise<number> {
  const follow = args.includes('-f') || args.includes('--follow');
  const names = args.filter((arg) => arg !== '-f' && arg !== '--follow');
  const option = names.find((name) => name.startsWith('-'));
  if (option !== undefined) throw new CommandError(`logs does not know "${option}"`);
  const files = logFiles(names);
  const child = spawn('tail', ['-n', '200', ...(follow ? ['-F'] : []), ...files], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.once('SIGINT', () => child.kill('SIGTERM'));
  return new Promise((resolve) => child.once('close', (code) => resolve(follow ? 0 : (code ?? 1))));
}
