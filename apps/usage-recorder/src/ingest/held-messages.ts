import type { UsageMessage } from '@omg/storage';

/**
 * The messages that this recorder answers for: those it received, until their job is done by whichever recorder, and those
 * whose job it runs. While it lives it says so to the stream for each of them, several times within the stream's wait, so
 * that a slow booking brings no second delivery; when it dies, another recorder gets them after that wait.
 *
 * A message whose job another recorder has done, or whose job Redis lost, is not in the queue any more: it is let go. If it
 * was not acknowledged, it comes again.
 */
export interface HeldMessagesParts {
  /** Prolongs the stream's wait for a message. */
  keep: (ackSubject: string) => void;
  /** Jobs that the queue does not have any more. May wait as long as Redis is away. */
  missingJobs: (ids: readonly string[]) => Promise<string[]>;
  /** The stream's wait for an acknowledgement. */
  ackWaitMs: number;
}

interface Held {
  ackSubject: string;
  /** Set once it is in the queue; until then this process is the only one that has it. */
  jobId: string | undefined;
  /** Its job runs here. */
  isRunning: boolean;
  /** It was in the queue when the last beat began. */
  isSettled: boolean;
}

/** Signs of life within one wait: some may be lost or late. */
const BEATS_PER_WAIT = 5;

export class HeldMessages {
  /** By their number in the stream. Bounded by the stream's limit of unacknowledged messages. */
  private readonly held = new Map<number, Held>();
  private readonly timer: NodeJS.Timeout;
  private isChecking = false;

  constructor(private readonly parts: HeldMessagesParts) {
    this.timer = setInterval(() => this.beat(), parts.ackWaitMs / BEATS_PER_WAIT);
    this.timer.unref();
  }

  get size(): number {
    return this.held.size;
  }

  /** False: the message came again although it is here; there is nothing to do for it. */
  receive({ streamSequence, ackSubject }: Pick<UsageMessage, 'streamSequence' | 'ackSubject'>): boolean {
    const known = this.held.get(streamSequence);
    if (known) known.ackSubject = ackSubject;
    else this.held.set(streamSequence, { ackSubject, jobId: undefined, isRunning: false, isSettled: false });
    return known === undefined;
  }

  /** Its job is in the queue. */
  queued(streamSequence: number, jobId: string): void {
    const held = this.held.get(streamSequence);
    if (held) held.jobId = jobId;
  }

  /** Its job is run by this process, whoever received the message. */
  running(streamSequence: number, jobId: string, ackSubject: string): void {
    const held = this.held.get(streamSequence);
    if (held) Object.assign(held, { jobId, isRunning: true });
    else this.held.set(streamSequence, { ackSubject, jobId, isRunning: true, isSettled: false });
  }

  /** Its job was given back to the queue. */
  returned(streamSequence: number): void {
    const held = this.held.get(streamSequence);
    if (held) held.isRunning = false;
  }

  /** It was acknowledged. */
  done(streamSequence: number): void {
    this.held.delete(streamSequence);
  }

  /** Leaves what is not done to the other recorders. */
  close(): void {
    clearInterval(this.timer);
    this.held.clear();
  }

  private beat(): void {
    const queued: [number, Held][] = [];
    for (const [sequence, held] of this.held) {
      this.parts.keep(held.ackSubject);
      if (held.jobId === undefined || held.isRunning) continue;
      // Most jobs are done here within one beat; only the others are looked up.
      if (held.isSettled) queued.push([sequence, held]);
      held.isSettled = true;
    }
    // While Redis is away nobody can run a job: the one question that waits is enough.
    if (queued.length > 0 && !this.isChecking) void this.letGoOfDone(queued);
  }

  private async letGoOfDone(queued: readonly [number, Held][]): Promise<void> {
    this.isChecking = true;
    try {
      const missing = new Set(await this.parts.missingJobs(queued.map(([, held]) => held.jobId!)));
      for (const [sequence, held] of queued) {
        // Unless it came again, or its job began here, while the answer was under way.
        if (missing.has(held.jobId!) && !held.isRunning && this.held.get(sequence) === held) this.held.delete(sequence);
      }
    } catch {
      // Asked again at the next beat.
    } finally {
      this.isChecking = false;
    }
  }
}
