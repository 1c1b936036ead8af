/** Told when a connection is there, when it is lost, and when somebody who listened to that threw. Names are ours (`redis`, `nats`, `postgres`), errors are for the log. */
export interface ConnectionObserver {
  onUp(name: string): void;
  onDown(name: string, error: unknown): void;
  onListenerError(name: string, error: unknown): void;
}

export const silentObserver: ConnectionObserver = { onUp: () => undefined, onDown: () => undefined, onListenerError: () => undefined };
