/** Told when a connection is there and when it is lost. Names are ours (`redis`, `nats`, `postgres`), errors are for the log. */
export interface ConnectionObserver {
  onUp(name: string): void;
  onDown(name: string, error: unknown): void;
}

export const silentObserver: ConnectionObserver = { onUp: () => undefined, onDown: () => undefined };
