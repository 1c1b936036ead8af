import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { APPS, DEMO } from './apps.ts';
import { endStack } from './down-command.ts';
import { ensureFolder, LOG_FOLDER } from './paths.ts';
import { prepare } from './prepare.ts';
import { isRunning } from './processes.ts';
import { Stack } from './stack.ts';
import { readState } from './state.ts';
import { CommandError, say } from './terminal.ts';

function summary(env: Readonly<Record<string, string>>, stopWith: string): string {
  const lines = APPS.map((app) => `  ${app.name.padEnd(15)} ${env[`${app.prefix}_URL`]}   ${app.about}`);
  const body = `{"model":"${DEMO.model}","stream":true,"messages":[{"role":"user","content":"Hello!"}]}`;
  return [
    '',
    'Open Model Gateway is running.',
    '',
    ...lines,
    '',
    'Try it:',
    '',
    `  curl -N ${env['EDGE_URL']}/v1/chat/completions -H 'Authorization: Bearer ${DEMO.apiKey}' -H 'Content-Type: application/json' -d '${body}'`,
    '',
    `OpenAI clients: base URL ${env['EDGE_URL']}/v1, key ${DEMO.apiKey}.`,
    `Admin API: ${env['ADMIN_URL']}/admin/docs, or ./omg admin help. Login ${DEMO.adminEmail}, password ${DEMO.adminPassword}.`,
    `All addresses: ./omg env. Logs: ./omg logs. Stop: ${stopWith}.`,
    '',
  ].join('\n');
}

interface SupervisorMessage {
  ready: boolean;
  text: string;
}

/** Runs the stack in this process until a signal; `onReady` may tell someone. */
async function supervise(onReady: (text: string) => void, stopWith: string): Promise<number> {
  const stack = new Stack(randomUUID());
  let stopRequested: (signal: string) => void = () => undefined;
  const signal = new Promise<string>((resolve) => (stopRequested = resolve));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopRequested(name));
  try {
    const started = stack.start().then(() => onReady(summary(stack.env, stopWith)));
    // A signal during the start ends the start.
    await Promise.race([started, signal]);
    await signal;
    say('stopping');
    return 0;
  } finally {
    await stack.stop();
  }
}

/** The detached half of `up --detach`: tells its parent once, then runs on its own. */
export async function superviseCommand(): Promise<number> {
  const tell = (message: SupervisorMessage): void => {
    if (process.connected) process.send?.(message, () => process.disconnect());
  };
  try {
    return await supervise((text) => tell({ ready: true, text }), './omg down');
  } catch (error) {
    tell({ ready: false, text: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}

async function detach(): Promise<number> {
  const logFile = join(ensureFolder(LOG_FOLDER), 'supervisor.log');
  const log = openSync(logFile, 'a');
  const child = fork(join(import.meta.dirname, 'omg.ts'), ['__supervise'], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    execArgv: process.execArgv,
  });
  closeSync(log);
  const outcome = await new Promise<SupervisorMessage>((resolve) => {
    child.once('message', (message) => resolve(message as SupervisorMessage));
    child.once('exit', (code) => resolve({ ready: false, text: `the supervisor ended with ${code}; see ${logFile}` }));
  });
  child.unref();
  if (child.connected) child.disconnect();
  if (!outcome.ready) throw new CommandError(outcome.text);
  process.stdout.write(outcome.text);
  return 0;
}

/** `./omg up [--detach]` */
export async function upCommand(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== '--detach' && arg !== '-d');
  if (unknown !== undefined) throw new CommandError(`up does not know "${unknown}"`);
  // Read once: what another call starts from here on is not this one's to end.
  const found = readState();
  if (found !== undefined && isRunning(found.supervisor)) {
    if (!found.ready) throw new CommandError('another ./omg up is starting right now');
    process.stdout.write(summary(found.env, './omg down'));
    return 0;
  }
  // A supervisor that was killed may have left its children.
  if (found !== undefined) await endStack(found);
  await prepare();
  if (args.length > 0) return detach();
  return supervise((text) => process.stdout.write(text), 'Ctrl-C');
}
