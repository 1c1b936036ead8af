import { connect, createServer, type Socket } from 'node:net';
import { addCleanup } from './cleanup.js';

export interface ServiceBalancer {
  /** `http://127.0.0.1:<port>` */
  url: string;
  /** An instance that takes part as soon as, and for as long as, its `/readyz` answers 200. */
  add(url: string): void;
  /** For an instance that is gone for good. */
  remove(url: string): void;
  /** Those that get new connections now. */
  ready(): string[];
  /** Connections given to each instance so far. */
  given: ReadonlyMap<string, number>;
  /** Connections that found no instance, or one that refused them. */
  readonly refused: number;
}

interface Instance {
  ready: boolean;
  isAsked: boolean;
}

const PROBE_TIMEOUT_MS = 10_000;

/**
 * What a Kubernetes Service does, on this machine: each new TCP connection goes to the next ready instance, byte for byte; one
 * that is open stays where it is, even after its instance has become unready; nothing is tried twice. Readiness is asked every
 * `probeMs`, so a change is noticed that much too late, as in a cluster.
 */
export async function startServiceBalancer(options: { probeMs: number }): Promise<ServiceBalancer> {
  const instances = new Map<string, Instance>();
  const given = new Map<string, number>();
  const sockets = new Set<Socket>();
  let turn = 0;
  let refused = 0;
  const ready = (): string[] => [...instances].filter(([, instance]) => instance.ready).map(([url]) => url);

  const probe = async (url: string, instance: Instance): Promise<void> => {
    // One look at a time: an answer that is late must not undo a newer one.
    if (instance.isAsked) return;
    instance.isAsked = true;
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).catch(() => undefined);
    await answer?.arrayBuffer().catch(() => undefined);
    instance.ready = answer?.ok === true;
    instance.isAsked = false;
  };
  const timer = setInterval(() => instances.forEach((instance, url) => void probe(url, instance)), options.probeMs);

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const candidates = ready();
    const target = candidates[turn++ % Math.max(candidates.length, 1)];
    if (target === undefined) {
      refused += 1;
      return void client.destroy();
    }
    given.set(target, (given.get(target) ?? 0) + 1);
    const { hostname, port } = new URL(target);
    const instance = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    instance.once('error', () => {
      if (instance.bytesRead === 0 && instance.bytesWritten === 0) refused += 1;
    });
    for (const [here, there] of [
      [client, instance],
      [instance, client],
    ] as const) {
      sockets.add(here);
      here.setNoDelay(true);
      here.on('error', () => there.destroy());
      here.once('close', () => {
        sockets.delete(here);
        there.destroy();
      });
      here.pipe(there);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(async () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    add: (url) => void instances.set(url, { ready: false, isAsked: false }),
    remove: (url) => void instances.delete(url),
    ready,
    given,
    get refused() {
      return refused;
    },
  };
}
