import { Queue, Worker, type JobsOptions } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import type { z } from 'zod';
import { QUEUE_PREFIX } from './connection.js';

/**
 * BullMQ with this product's rules: payloads have a schema, every loop has a bound, and a job that was not done is never
 * dropped. A job that fails is tried again after a pause for as long as its processor wants; one whose worker vanished is
 * given to another one.
 */

const RETRY_PAUSE_MS = 2_000;
/** How often, at most, a worker looks for jobs whose worker vanished. */
const STALLED_CHECK_MS = 5_000;
/** No job is ever given up for having been tried often: who processes it decides. */
const ATTEMPTS_MAX = 1_000_000;

export interface QueueJob<T> {
  /** Adding a job whose id is waiting or running does nothing. Letters, digits, `-`, `_`, `.`; not a plain number. */
  id: string;
  data: T;
}

export interface JobQueue<T> {
  add(jobs: readonly QueueJob<T>[]): Promise<void>;
  /** Like add, but per `key`: one that waits is kept, and while one runs the newest is run once more after it. It waits `delayMs` first. */
  addLatest(key: string, data: T, delayMs?: number): Promise<void>;
  /** Which of these jobs the queue does not have: they are done, or Redis lost them. Waits while Redis is away. */
  missing(ids: readonly string[]): Promise<string[]>;
  /** Jobs that wait, run, or pause before the next try. */
  depth(): Promise<{ waiting: number; active: number; delayed: number }>;
  close(): Promise<void>;
}

/** `client`: with `maxRetriesPerRequest: null`; it belongs to its opener. */
export function openQueue<T>(client: Redis | Cluster, name: string, schema: z.ZodType<T>): JobQueue<T> {
  const options: JobsOptions = { attempts: ATTEMPTS_MAX, backoff: { type: 'fixed', delay: RETRY_PAUSE_MS }, removeOnComplete: true };
  const queue = new Queue(name, { connection: client, prefix: QUEUE_PREFIX, defaultJobOptions: options, streams: { events: { maxLen: 100 } } });
  // Errors of the connection also reject the calls that meet them.
  queue.on('error', () => undefined);
  return {
    async add(jobs) {
      await queue.addBulk(jobs.map((job) => ({ name, data: schema.parse(job.data), opts: { jobId: job.id } })));
    },
    async addLatest(key, data, delayMs = 0) {
      await queue.add(name, schema.parse(data), { deduplication: { id: key, keepLastIfActive: true }, ...(delayMs > 0 ? { delay: delayMs } : {}) });
    },
    async missing(ids) {
      // One slot holds the whole queue, also on a cluster.
      const pipeline = client.pipeline();
      for (const id of ids) pipeline.exists(queue.toKey(id));
      const replies = (await pipeline.exec()) ?? [];
      const failed = replies.find(([error]) => error);
      if (failed) throw failed[0]!;
      return ids.filter((_, index) => replies[index]?.[1] === 0);
    },
    async depth() {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed');
      return { waiting: counts['waiting'] ?? 0, active: counts['active'] ?? 0, delayed: counts['delayed'] ?? 0 };
    },
    close: () => queue.close(),
  };
}

export interface WorkerJob<T> {
  id: string;
  data: T;
}

export interface JobWorker {
  /** Takes no new jobs and waits for the running ones. */
  close(): Promise<void>;
}

export interface WorkOptions<T> {
  name: string;
  schema: z.ZodType<T>;
  /** Jobs under way in this process. */
  concurrency: number;
  /** After this time without a sign of life from its worker a job is given to another one. */
  lockMs: number;
  /** Resolves: done. Rejects: again later. */
  process: (job: WorkerJob<T>) => Promise<void>;
  /** A job failed, or the connection did. */
  onError: (error: Error, jobId: string | undefined) => void;
}

export function work<T>(client: Redis | Cluster, options: WorkOptions<T>): JobWorker {
  const worker = new Worker(options.name, async (job) => options.process({ id: job.id!, data: options.schema.parse(job.data) }), {
    connection: client,
    prefix: QUEUE_PREFIX,
    concurrency: options.concurrency,
    removeOnComplete: { count: 0 },
    lockDuration: options.lockMs,
    stalledInterval: Math.min(STALLED_CHECK_MS, options.lockMs / 2),
    maxStalledCount: ATTEMPTS_MAX,
    drainDelay: 5,
    runRetryDelay: 1_000,
  });
  worker.on('error', (error) => options.onError(error, undefined));
  worker.on('failed', (job, error) => options.onError(error, job?.id));
  return { close: () => worker.close() };
}
