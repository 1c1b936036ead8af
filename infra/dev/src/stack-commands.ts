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
export async function envCommand(_args: readonly string[]): Promise<number> {
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
  const chosen = names.length === 0 ? own : all.filter((file) => names.some((name) => file.endsWith(`/${name}.log`)));
  if (chosen.length === 0)
    throw new CommandError(`no such log; there are: ${all.map((file) => file.slice(file.lastIndexOf('/') + 1, -4)).join(', ') || 'none yet'}`);
  return chosen;
}

/** `./omg logs [-f] [name ...]` */
export async function logsCommand(args: readonly string[]): Promise<number> {
  const follow = args.includes('-f') || args.includes('--follow');
  const files = logFiles(args.filter((arg) => !arg.startsWith('-')));
  const child = spawn('tail', ['-n', '200', ...(follow ? ['-F'] : []), ...files], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.once('SIGINT', () => child.kill('SIGTERM'));
  return new Promise((resolve) => child.once('close', (code) => resolve(follow ? 0 : (code ?? 1))));
}
