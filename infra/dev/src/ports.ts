import { createConnection, createServer } from 'node:net';

/** Whether a loopback port can be bound right now. */
export function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)));
  });
}

/** A loopback port that was free a moment ago, chosen by the system. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
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
