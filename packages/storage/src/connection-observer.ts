/**
 * Hears when a connection is there and when it is lost, and when a listener to that threw an error. `name` is `redis`, `nats` or
 * `postgres`; errors are for the log.
 */
export interface ConnectionObserver {
  onUp(name: string): void;
  onDown(name: string, error: unknown): void;
  onListenerError(name: string, error: unknown): void;
}

export const silentObserver: ConnectionObserver = { onUp: () => undefined, onDown: () => undefined, onListenerError: () => undefined };
