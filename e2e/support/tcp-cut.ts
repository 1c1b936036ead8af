import { addCleanup } from '@omg/testkit';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** A TCP path that can be cut and healed, as when a cable or a firewall takes one client away from a server that lives on. */
export interface TcpCut {
  /** `host:port` to connect to instead of the server. */
  address: string;
  /** Breaks every connection and refuses new ones. */
  cut(): void;
  /** Lets connections through again; resolves with the time (`performance.now()`) at which the first one came. */
  heal(): Promise<number>;
}

export async function startTcpCut(target: { host: string; port: number }): Promise<TcpCut> {
  const open = new Set<Socket>();
  let isCut = false;
  let arrived: ((atMs: number) => void) | undefined;
  const server = createServer((client) => {
    if (isCut) return void client.resetAndDestroy();
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream).pipe(client);
    arrived?.(performance.now());
    arrived = undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const breakAll = (): void => {
    for (const socket of open) socket.resetAndDestroy();
  };
  addCleanup(async () => {
    breakAll();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => {
      isCut = true;
      breakAll();
    },
    heal: () => {
      const first = new Promise<number>((resolve) => (arrived = resolve));
      isCut = false;
      return first;
    },
  };
}
