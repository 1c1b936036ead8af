import { Bag, type BagItem } from '@omg/domain';
import { Command, type Cluster, type Redis } from 'ioredis';
import type { Circuit, RedisFailure } from './circuit.js';
import { Circuits, type GuardOptions } from './circuits.js';
import { CommandBatches } from './command-batches.js';
import type { LuaScript } from './lua-script.js';

/** Redis did not answer this call. Whether it was carried out is not known, unless the circuit was open. */
export class RedisUnavailableError extends Error {
  constructor(
    readonly failure: RedisFailure,
    options?: { cause?: unknown },
  ) {
    super(`redis unavailable: ${failure}`, options);
    this.name = 'RedisUnavailableError';
  }
}

interface Pending extends BagItem {
  deadlineMs: number;
  expire: () => void;
}

/** A timer that is later than this was held up by the process itself. */
const STALL_MS = 10;

/**
 * Redis as the request path may use it: every call ends within its timeout, and while Redis (of a cluster: the node that has the call's
 * keys) is away or slow calls are refused at once instead of waiting one by one. Scripts travel in batches, in the order in which they
 * were called.
 *
 * Failures in a row (timeouts, lost connections, error replies such as OOM or LOADING) open the circuit; an error reply about what one
 * key holds is an answer, and says nothing about Redis.
 */
export class GuardedRedis {
  private closed = false;
  private readonly circuits: Circuits;
  private readonly batches: CommandBatches;
  // One timer serves them all. A call leaves with its answer: what it holds must not live until the timer looks.
  private readonly pending = new Bag<Pending>();
  private deadlineTimer: NodeJS.Timeout | undefined;

  constructor(
    client: Redis | Cluster,
    private readonly options: GuardOptions,
  ) {
    this.batches = new CommandBatches(client);
    this.circuits = new Circuits(client, options);
  }

  /** Whether some calls are refused at once. */
  get isOpen(): boolean {
    return this.circuits.someOpen;
  }

  /**
   * Runs a script by its digest, sending its text where Redis does not know it (first use, restart, SCRIPT FLUSH). `onLate` is
   * given an answer that came after the call was given up: it was carried out, and nobody waits for it any more.
   */
  script(script: LuaScript, keys: readonly string[], args: readonly string[], onLate?: (reply: unknown) => void): Promise<unknown> {
    const send = (name: 'evalsha' | 'eval', what: string, isGivenUp: () => boolean): Promise<unknown> =>
      this.batches.send(new Command(name, [what, script.numberOfKeys, ...keys, ...args], { replyEncoding: 'utf8' }), isGivenUp);
    const command = (isGivenUp: () => boolean): Promise<unknown> =>
      send('evalsha', script.sha, isGivenUp).catch((error: unknown) => {
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        return send('eval', script.source, isGivenUp);
      });
    return this.run(keys[0]!, command, onLate);
  }

  /** Runs any other command of this key under the same guard. */
  run<T>(key: string, command: (isGivenUp: () => boolean) => Promise<T>, onLate?: (value: T) => void): Promise<T> {
    const circuit = this.circuits.of(key);
    if (circuit.isOpen) return Promise.reject(new RedisUnavailableError('circuit_open'));
    return this.attempt(circuit, command, onLate);
  }

  /** Stops the background probe. The client belongs to its opener. */
  close(): void {
    this.closed = true;
    this.circuits.close();
    clearTimeout(this.deadlineTimer);
  }

  private attempt<T>(circuit: Circuit, command: (isGivenUp: () => boolean) => Promise<T>, onLate: ((value: T) => void) | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const entry: Pending = {
        place: -1,
        deadlineMs: performance.now() + this.options.commandTimeoutMs,
        expire: () => {
          circuit.fail('timeout');
          reject(new RedisUnavailableError('timeout'));
        },
      };
      this.watch(entry);
      command(() => !this.pending.has(entry)).then(
        (value) => {
          if (!this.pending.delete(entry)) return onLate?.(value);
          circuit.succeed();
          resolve(value);
        },
        (error: unknown) => {
          if (!this.pending.delete(entry)) return;
          if (isAboutData(error)) circuit.succeed();
          else circuit.fail(isReply(error) ? 'reply' : 'connection');
          reject(new RedisUnavailableError(isReply(error) ? 'reply' : 'connection', { cause: error }));
        },
      );
    });
  }

  private watch(entry: Pending): void {
    this.pending.add(entry);
    if (this.deadlineTimer === undefined) this.armDeadline(this.options.commandTimeoutMs);
  }

  private armDeadline(delayMs: number): void {
    const dueMs = performance.now() + Math.max(1, delayMs);
    // Timers run before sockets are read. After a busy moment of this process the answers may be there already: they
    // are read before anything is called late.
    this.deadlineTimer = setTimeout(() => setImmediate(() => this.expireDue(dueMs)), Math.max(1, delayMs));
    this.deadlineTimer.unref();
  }

  private expireDue(dueMs: number): void {
    this.deadlineTimer = undefined;
    // The time in which this process could neither send nor read is not Redis's: it is given to the calls under way.
    const stalledMs = performance.now() - dueMs;
    const givenMs = stalledMs > STALL_MS ? stalledMs : 0;
    const nowMs = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    this.pending.forEach((entry) => {
      entry.deadlineMs += givenMs;
      if (entry.deadlineMs > nowMs) {
        nextMs = Math.min(nextMs, entry.deadlineMs);
        return;
      }
      this.pending.delete(entry);
      entry.expire();
    });
    if (this.pending.size > 0 && !this.closed) this.armDeadline(nextMs - nowMs);
  }
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/** A key that holds something else than it should, or a script that met a value which it cannot read. */
function isAboutData(error: unknown): boolean {
  return isReply(error) && /^(WRONGTYPE|ERR user_script|ERR Error running script)/.test((error as Error).message);
}
