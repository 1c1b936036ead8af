import { randomInt } from 'node:crypto';
import { createConnection, createServer } from 'node:net';

/** Whether a loopback port can be bound right now. */
export function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)));
  });
}

/**
 * Below the ports that systems give to connections and to servers that name none (from 32768 on Linux): until the process that a
 * port is meant for has started, and while it is started again, nobody is given it by chance.
 */
const FIRST_PORT = 20_000;
/** Each of Jest's workers has a share of its own, so that test files side by side cannot choose the same port. */
const SHARES = 8;
const PORTS_PER_SHARE = 1_500;
let turn: number | undefined;

/** A loopback port that is free, and that this process does not name again soon. */
export async function freePort(): Promise<number> {
  const share = Number(process.env['JEST_WORKER_ID'] ?? 0) % SHARES;
  turn ??= randomInt(PORTS_PER_SHARE);
  for (let tries = 0; tries < PORTS_PER_SHARE; tries += 1) {
    const port = FIRST_PORT + share * PORTS_PER_SHARE + (turn++ % PORTS_PER_SHARE);
    if (await portIsFree(port)) return port;
  }
  throw new Error(`no free port from ${FIRST_PORT + share * PORTS_PER_SHARE} on`);
}

/** `wanted` when it is free, else another one. */
export async function preferPort(wanted: number): Promise<number> {
  return (await portIsFree(wanted)) ? wanted : freePort();
}

/** Connects, sends `send`, and resolves with whatever comes first; undefined when nothing came within `timeoutMs`. */
export function askPort(port: number, send: string, timeoutMs: number, host = '127.0.0.1'): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host });
    const finish = (answer: string | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(undefined));
    socket.once('error', () => finish(undefined));
    socket.once('close', () => resolve(undefined));
    socket.once('connect', () => {
      if (send !== '') socket.write(send);
    });
    socket.once('data', (data) => finish(data.toString('latin1')));
  });
}
