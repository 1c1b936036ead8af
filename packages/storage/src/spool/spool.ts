import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeLine, readLines } from './spool-lines.js';

/**
 * The last place for a usage event when neither Redis nor NATS takes it: an append-only file on local disk.
 *
 * An append resolves only after its line was synced; appends that arrive together share one sync. A segment
 * (`<name>.open`) is written by one process. For replay it is renamed (`.sealed`) and deleted once all of its
 * events were delivered; a replay that fails delivers them again next time, so delivery is at least once. Every line
 * carries a checksum: a torn tail costs that line only.
 *
 * A process that starts takes over all segments that it finds. Whether their writers live cannot be told: host names and
 * process ids come again, in containers with each restart. It need not be known: a writer looks after each sync whether its
 * segment still has its name, and appends anew elsewhere what it wrote to one that was taken. What was there when it
 * was renamed is read by whoever renamed it.
 */
export interface SpoolOptions {
  /** On a local disk, which processes may share. */
  directory: string;
  /** Bound of what waits there and was sealed, and of what this process writes. */
  bytesMax: number;
  /** Tests only: opens segments on a disk that fails. */
  openFile?: typeof open;
}

/** The event was not stored: the bound is reached, or the disk failed (full, read-only, gone). */
export class SpoolError extends Error {
  constructor(
    readonly reason: 'full' | 'disk' | 'closed',
    options?: { cause?: unknown },
  ) {
    super(`usage spool: ${reason}`, options);
    this.name = 'SpoolError';
  }
}

export interface ReplayResult {
  events: number;
  /** Lines that were torn or damaged. */
  corrupt: number;
}

interface Append {
  line: Buffer;
  resolve: () => void;
  reject: (error: SpoolError) => void;
}

interface Segment {
  path: string;
  file: FileHandle;
  /** Up to here every byte is a whole, synced line. */
  bytes: number;
}

const EVENT_BYTES_MAX = 64 * 1024;
/** A segment is taken when another process starts; more often in a row than this it is something else. */
const TAKEN_MAX = 8;

export class Spool {
  private queue: Append[] = [];
  private queuedBytes = 0;
  private segment: Segment | undefined;
  private working: Promise<void> = Promise.resolve();
  private writing = false;
  private replaying: Promise<ReplayResult> | undefined;
  private closed = false;

  private constructor(
    private readonly options: SpoolOptions,
    private sealedBytes: number,
  ) {}

  /** Makes the directory and takes over the segments in it. Throws when the directory is not usable. */
  static async open(options: SpoolOptions): Promise<Spool> {
    const { directory } = options;
    await mkdir(directory, { recursive: true });
    for (const name of await readdir(directory)) {
      if (name.endsWith('.open')) await rename(join(directory, name), sealedPath(join(directory, name))).catch(ignoreMissing);
    }
    const sealed = await sealedSegments(directory);
    return new Spool(
      options,
      sealed.reduce((sum, { bytes }) => sum + bytes, 0),
    );
  }

  /** Nothing waits for a replay. */
  get isEmpty(): boolean {
    return this.pendingBytes === 0 && this.segment === undefined;
  }

  /** Of sealed segments, the own open one and what is queued. */
  get pendingBytes(): number {
    return this.sealedBytes + (this.segment?.bytes ?? 0) + this.queuedBytes;
  }

  /** Stores one event, JSON without line breaks. Rejects with a SpoolError; a rejected event was not stored. */
  append(event: string): Promise<void> {
    const line = encodeLine(event);
    if (this.closed) return Promise.reject(new SpoolError('closed'));
    if (line.length > EVENT_BYTES_MAX) return Promise.reject(new RangeError('usage event is too large'));
    if (this.pendingBytes + line.length > this.options.bytesMax) return Promise.reject(new SpoolError('full'));
    this.queuedBytes += line.length;
    return new Promise<void>((resolve, reject) => {
      this.queue.push({ line, resolve, reject });
      if (!this.writing) {
        this.writing = true;
        void this.exclusively(() => this.writeQueue());
      }
    });
  }

  /**
   * Hands all stored events to `deliver`, oldest segment first, in batches of at most `batchMax`. Rejects when `deliver`
   * does; what was not delivered stays. Calls while one runs share its result.
   */
  replay(deliver: (events: string[]) => Promise<void>, batchMax = 128): Promise<ReplayResult> {
    this.replaying ??= this.replayAll(deliver, batchMax).finally(() => (this.replaying = undefined));
    return this.replaying;
  }

  /** Waits for running appends. Segments stay on disk for the next start. */
  async close(): Promise<void> {
    this.closed = true;
    await this.exclusively(async () => {
      await this.segment?.file.close();
      this.segment = undefined;
    });
  }

  /** Writes, seals and closes one at a time. */
  private exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.working.then(work);
    this.working = done.catch(() => undefined);
    return done;
  }

  private async writeQueue(): Promise<void> {
    while (this.queue.length > 0) {
      const batch = this.queue;
      this.queue = [];
      const buffer = Buffer.concat(batch.map((one) => one.line));
      try {
        await this.store(buffer);
        for (const one of batch) one.resolve();
      } catch (cause) {
        await this.abandonTail();
        for (const one of batch) one.reject(new SpoolError('disk', { cause }));
      } finally {
        this.queuedBytes -= buffer.length;
      }
    }
    this.writing = false;
  }

  private async store(lines: Buffer): Promise<void> {
    for (let i = 0; i < TAKEN_MAX; i++) {
      const segment = (this.segment ??= await this.createSegment());
      await writeAll(segment.file, lines, segment.bytes);
      await segment.file.datasync();
      if (await exists(segment.path)) {
        segment.bytes += lines.length;
        return;
      }
      // Taken meanwhile, and perhaps read to its end before these lines came.
      this.segment = undefined;
      await segment.file.close().catch(() => undefined);
    }
    throw new Error('other processes take every segment');
  }

  /** After a failed write the segment ends where its last whole line does; a later write goes there again. */
  private async abandonTail(): Promise<void> {
    const segment = this.segment;
    if (!segment) return;
    try {
      await segment.file.truncate(segment.bytes);
    } catch {
      // The tail stays torn: its checksum tells. Nothing may be appended behind it, and what is whole waits for no other process.
      await this.seal().catch(() => undefined);
    }
  }

  private async createSegment(): Promise<Segment> {
    const name = `${Date.now()}~${randomUUID()}.open`;
    const path = join(this.options.directory, name);
    const file = await (this.options.openFile ?? open)(path, 'wx', 0o600);
    await syncDirectory(this.options.directory);
    return { path, file, bytes: 0 };
  }

  private async replayAll(deliver: (events: string[]) => Promise<void>, batchMax: number): Promise<ReplayResult> {
    await this.exclusively(() => this.seal());
    const result: ReplayResult = { events: 0, corrupt: 0 };
    const segments = await sealedSegments(this.options.directory);
    // Neighbours replay as well, and what they took over counts no more.
    this.sealedBytes = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes } of segments) {
      await replaySegment(path, deliver, batchMax, result).catch(ignoreMissing);
      await unlink(path).catch(ignoreMissing);
      this.sealedBytes = Math.max(0, this.sealedBytes - bytes);
    }
    return result;
  }

  private async seal(): Promise<void> {
    if (!this.segment) return;
    const { file, path, bytes } = this.segment;
    this.segment = undefined;
    await file.close().catch(() => undefined);
    const isOurs = await rename(path, sealedPath(path)).then(() => true, ignoreMissing);
    if (isOurs) this.sealedBytes += bytes;
  }
}

async function replaySegment(path: string, deliver: (events: string[]) => Promise<void>, batchMax: number, result: ReplayResult): Promise<void> {
  let batch: string[] = [];
  for await (const event of readLines(path, EVENT_BYTES_MAX)) {
    if (event === undefined) {
      result.corrupt++;
      continue;
    }
    batch.push(event);
    result.events++;
    if (batch.length < batchMax) continue;
    await deliver(batch);
    batch = [];
  }
  if (batch.length > 0) await deliver(batch);
}

/** Oldest first. */
async function sealedSegments(directory: string): Promise<{ path: string; bytes: number }[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sealed')).sort();
  return Promise.all(names.map(async (name) => ({ path: join(directory, name), bytes: await sizeOf(join(directory, name)) })));
}

const sealedPath = (path: string): string => path.replace(/\.open$/, '.sealed');

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(ignoreMissing)) !== undefined;
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(ignoreMissing);
  return found?.size ?? 0;
}

/** Another process took or replayed the segment first. */
function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** A nearly full disk takes a part and says so by a short count, not by an error. */
async function writeAll(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < buffer.length) {
    const { bytesWritten } = await file.write(buffer, done, buffer.length - done, position + done);
    if (bytesWritten === 0) throw new Error('the disk takes no more bytes');
    done += bytesWritten;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
