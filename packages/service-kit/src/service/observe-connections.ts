import type { ConnectionObserver } from '@omg/storage';
import type { Logger } from '../logging/logger.js';
import type { Metrics } from '../metrics/metrics.js';

/** Connections in the log and in the metrics: one line per change, not one per attempt. */
export function observeConnections(logger: Logger, metrics: Metrics): ConnectionObserver {
  const up = metrics.gauge({ name: 'connection_up', help: 'Whether the connection to a dependency stands (1) or is lost (0).', labelNames: ['dependency'] });
  const lost = metrics.counter({ name: 'connection_losses_total', help: 'How often the connection to a dependency was lost.', labelNames: ['dependency'] });
  const isDown = new Set<string>();
  return {
    onUp(name) {
      up.child(name).set(1);
      if (isDown.delete(name)) logger.info({ dependency: name }, 'connection is back');
    },
    onDown(name, error) {
      up.child(name).set(0);
      if (isDown.has(name)) return;
      isDown.add(name);
      lost.child(name).inc();
      logger.warn({ dependency: name, err: error }, 'connection is lost');
    },
    onListenerError(name, error) {
      logger.error({ dependency: name, err: error }, 'a part that follows the connection failed');
    },
  };
}
