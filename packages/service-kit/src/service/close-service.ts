import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { HealthRegistry } from '../health/health-registry.js';
import type { Lifecycle } from '../lifecycle/lifecycle.js';
import type { Logger } from '../logging/logger.js';
import type { ConnectionWatch } from './connection-watch.js';
import type { Shutdown } from './shutdown.js';

/** Idle for so long, a connection is closed during the drain. */
const IDLE_MS = 500;
/** Beyond the drain: what a handler that was told to end gets for its last bytes. */
const CUT_AFTER_MS = 500;
/** What closers get after the drain: flushing usage, closing pools. */
export const CLOSE_MAX_MS = 10_000;

export interface Closing {
  app: { getHttpServer(): Server; close(): Promise<void> };
  connections: ConnectionWatch;
  health: HealthRegistry;
  lifecycle: Lifecycle;
  logger: Logger;
  shutdown: Shutdown;
  /** How long everything is still answered while `/readyz` fails already. */
  noticeMs: number;
  /** How long running work may go on after that. */
  drainMs: number;
}

/**
 * Readiness fails first, while everything is still answered; then the listener closes, running work ends or is aborted at the
 * deadline, then everything is closed in reverse order.
 */
export async function closeService(closing: Closing): Promise<void> {
  const { app, connections, health, lifecycle, logger, shutdown, noticeMs, drainMs } = closing;
  health.setPhase('draining');
  logger.info({ noticeMs, drainMs }, 'draining');
  connections.endAfterAnswer();
  if (noticeMs > 0) await delay(noticeMs);
  shutdown.begin(drainMs);
  const server = app.getHttpServer();
  const cut = setTimeout(() => server.closeAllConnections(), drainMs + CUT_AFTER_MS);
  // A stream that began before the notice could not say `Connection: close`: its client may send the next request as soon as it ends,
  // and that one is answered too. Closed at once, the connection would take it half-way.
  const sweep = setInterval(() => connections.closeIdle(), IDLE_MS);
  try {
    await app.close();
  } catch (error) {
    logger.error({ err: error }, 'listener could not be closed');
  } finally {
    clearTimeout(cut);
    clearInterval(sweep);
    shutdown.end();
  }
  const failed = await lifecycle.close(CLOSE_MAX_MS);
  logger.info({ failed }, 'stopped');
}
