import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { askPort, freePort } from '../ports.ts';
import { findBinary } from './binaries.ts';
import { launchService, logFileOf, type RunningService, type StartOptions } from './running-service.ts';

const READY_PROBE_MS = 500;

/** A private NATS with JetStream on file storage, on a loopback port. */
export async function startNats(options: StartOptions): Promise<RunningService> {
  const command = findBinary('nats-server');
  if (command === undefined) throw new Error('No nats-server on this machine. Debian: apt-get install nats-server. macOS: brew install nats-server');
  mkdirSync(options.dataDir, { recursive: true });
  const port = options.port ?? (await freePort());
  return launchService({
    name: 'nats',
    command,
    args: ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(options.dataDir, 'jetstream')],
    url: `nats://127.0.0.1:${port}`,
    port,
    logFile: logFileOf(options, 'nats'),
    stopSignal: 'SIGTERM',
    options,
    isReady: async () => (await askPort(port, '', READY_PROBE_MS))?.startsWith('INFO ') ?? false,
  });
}
