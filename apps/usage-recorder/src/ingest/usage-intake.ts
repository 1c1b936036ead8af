import { createHash } from 'node:crypto';
import type { DeadLetter, UsageJob } from '@omg/contracts';
import { USAGE_MESSAGE_BYTES_MAX, type UsageMessage } from '@omg/storage';
import { type JobQueue } from '@omg/storage/queues';
import { persistently } from '../retry.js';
import type { HeldMessages } from './held-messages.js';
import { deadLetterOf } from './usage-worker.js';

/**
 * From the stream into the queue. What was delivered and could not be queued is tried again for ever: nothing is
 * acknowledged here but what is too large to be queued at all. The stream's limit of unacknowledged messages bounds what
 * waits in this process and in the queue.
 */

const ADD_AT_ONCE_MAX = 64;
const JOB_ID = /^[A-Za-z0-9._-]{1,64}$/;

export interface UsageIntakeParts {
  queue: Pick<JobQueue<UsageJob>, 'add'>;
  held: Pick<HeldMessages, 'receive' | 'queued' | 'done'>;
  /** Resolves once the letter is stored; rejects only at shutdown. */
  deadLetter: (id: string, letter: DeadLetter) => Promise<void>;
  acknowledge: (ackSubject: string) => void;
  onWait: (error: unknown, pauseMs: number) => void;
  onMessage: (message: UsageMessage) => void;
  nowMs: () => number;
  signal: AbortSignal;
}

export class UsageIntake {
  private waiting: UsageMessage[] = [];
  private draining: Promise<void> | undefined;

  constructor(private readonly parts: UsageIntakeParts) {}

  /** Messages that are not queued yet. */
  get pending(): number {
    return this.waiting.length;
  }

  take(message: UsageMessage): void {
    this.parts.onMessage(message);
    if (!this.parts.held.receive(message)) return;
    this.waiting.push(message);
    this.draining ??= this.drain();
  }

  /** Resolves when nothing waits any more, or at the signal. */
  async idle(): Promise<void> {
    await this.draining;
  }

  private async drain(): Promise<void> {
    try {
      while (this.waiting.length > 0) {
        const group = this.waiting.splice(0, ADD_AT_ONCE_MAX);
        const [large, fitting] = [group.filter(isTooLarge), group.filter((message) => !isTooLarge(message))];
        for (const message of large) await this.refuse(message);
        if (fitting.length > 0) await this.enqueue(fitting);
      }
    } catch {
      // Shutdown: what was not queued is still in the stream.
      this.waiting = [];
    }
    // In the same turn as the last look at what waits: nothing can arrive in between and be left behind.
    this.draining = undefined;
  }

  private async enqueue(messages: readonly UsageMessage[]): Promise<void> {
    const { held, queue, signal, onWait } = this.parts;
    const jobs = messages.map(toJob);
    await persistently(() => queue.add(jobs), { signal, onWait });
    for (const { id, data } of jobs) held.queued(data.streamSequence, id);
  }

  private async refuse(message: UsageMessage): Promise<void> {
    const payload = Buffer.from(message.payload.subarray(0, USAGE_MESSAGE_BYTES_MAX)).toString('utf8');
    const poison = { reason: 'too_large' as const, detail: `${message.payload.length} bytes`, payload };
    const letter = deadLetterOf(poison, { batchId: message.messageId?.slice(0, 128), streamSequence: message.streamSequence, atMs: this.parts.nowMs() });
    await this.parts.deadLetter(`${message.streamSequence}-batch`, letter);
    this.parts.acknowledge(message.ackSubject);
    this.parts.held.done(message.streamSequence);
  }
}

function isTooLarge(message: UsageMessage): boolean {
  return message.payload.length > USAGE_MESSAGE_BYTES_MAX;
}

function toJob(message: UsageMessage) {
  const { ackSubject, streamSequence, publishedAtMs } = message;
  const payload = Buffer.from(message.payload.buffer, message.payload.byteOffset, message.payload.length).toString('utf8');
  return { id: jobId(message), data: { v: 1 as const, payload, ackSubject, streamSequence, publishedAtMs } };
}

/** The batch's id, so that a batch that is delivered again while its job waits is not queued twice. */
function jobId({ messageId, streamSequence }: UsageMessage): string {
  if (messageId === undefined) return `seq-${streamSequence}`;
  return JOB_ID.test(messageId) ? `batch-${messageId}` : `batch-${createHash('sha256').update(messageId).digest('hex')}`;
}
