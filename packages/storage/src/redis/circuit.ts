export type RedisFailure = 'timeout' | 'connection' | 'reply' | 'circuit_open';

export interface CircuitOptions {
  /** An answer that takes longer is a failure. */
  commandTimeoutMs: number;
  failuresToOpen?: number;
  probeIntervalMs?: number;
}

/** The server behind a circuit. */
export interface CircuitPeer {
  /** Any command that this server answers. */
  probe: () => Promise<unknown>;
  /** Tears down its connection, so that a new one is opened. */
  reconnect: () => void;
}

const PROBE_STUCK_MS = 3_000;

/**
 * Opens after `failuresToOpen` failures in a row; then callers are refused at once. A probe in the background closes it again. A
 * connection whose probe stays unanswered for long is torn down, so that a peer that vanished without a word is noticed before TCP does.
 */
export class Circuit {
  private failures = 0;
  private open = false;
  private closed = false;
  private probeTimer: NodeJS.Timeout | undefined;
  private probeSince: number | undefined;

  constructor(
    private readonly peer: CircuitPeer,
    private readonly options: CircuitOptions,
    private readonly onChange: (state: 'open' | 'closed', reason: string) => void,
  ) {}

  get isOpen(): boolean {
    return this.open;
  }

  succeed(): void {
    this.failures = 0;
  }

  fail(failure: RedisFailure): void {
    this.failures++;
    if (this.open || this.failures < (this.options.failuresToOpen ?? 3)) return;
    this.open = true;
    this.onChange('open', failure);
    this.scheduleProbe();
  }

  /** Stops the probe. */
  close(): void {
    this.closed = true;
    clearTimeout(this.probeTimer);
  }

  private scheduleProbe(): void {
    if (this.closed) return;
    this.probeTimer = setTimeout(() => this.probe(), this.options.probeIntervalMs ?? 200);
    this.probeTimer.unref();
  }

  private probe(): void {
    const nowMs = performance.now();
    if (this.probeSince !== undefined) {
      // One probe at a time: while it is unanswered Redis is still away.
      if (nowMs - this.probeSince > PROBE_STUCK_MS) {
        this.probeSince = undefined;
        this.peer.reconnect();
      }
      this.scheduleProbe();
      return;
    }
    this.probeSince = nowMs;
    this.peer.probe().then(
      () => this.probed(nowMs, true),
      () => this.probed(nowMs, false),
    );
    this.scheduleProbe();
  }

  private probed(startedMs: number, answered: boolean): void {
    if (this.probeSince !== startedMs) return;
    this.probeSince = undefined;
    if (!answered || !this.open || performance.now() - startedMs > this.options.commandTimeoutMs) return;
    this.open = false;
    this.failures = 0;
    clearTimeout(this.probeTimer);
    this.onChange('closed', 'answered');
  }
}
