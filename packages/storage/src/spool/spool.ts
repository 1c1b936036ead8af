import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { encodeLine, readLines } from './spool-lines.js';

/**
 * The last place for a usage event when neither Redis nor NATS takes it: an append-only file on local disk.
 *
 * An append resolves only after its line was synced; appends that arrive together share one sync. A segment
 * (`<name>.open`) belongs to one process. For replay it is renamed (`.sealed`) and deleted once all of its
 * events were delivered; a replay that fails delivers them again next time, so delivery is at least once. Segments that
 * a dead process left are replayed by the next one. Every line carries a checksum: a torn tail costs that line only.
 */
export interface SpoolOptions {
  /** One directory per machine or container; processes on the same machine may share it. */
  directory: string;
  /** Bound of what this process stored and took over. */
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

export class Spool {
  private queue: Append[] = [];
  private segment: Segment | undefined;
  private working: Promise<void> = Promise.resolve();
  private writing = false;
  private replaying: Promise<ReplayResult> | undefined;
  private closed = false;

  private constructor(
    private readonly options: SpoolOptions,
    /** Of sealed segments, the own open one and what is queued. */
    private bytes: number,
  ) {}

  /** Makes the directory and takes over segments of processes that are gone. Throws when the directory is not usable. */
  static async open(options: SpoolOptions): Promise<Spool> {
    await mkdir(options.directory, { recursive: true });
    let bytes = 0;
    for (const name of await readdir(options.directory)) {
      const path = join(options.directory, name);
      if (name.endsWith('.open') && ownerIsGone(name)) await rename(path, sealedPath(path)).catch(ignoreMissing);
      // A living neighbour's open segment is its own to bound and to replay.
      bytes += await sizeOf(name.endsWith('.open') ? sealedPath(path) : path);
    }
    return new Spool(options, bytes);
  }

  /** Nothing waits for a replay. */
  get isEmpty(): boolean {
    return this.bytes === 0 && this.segment === undefined;
  }

  get pendingBytes(): number {
    return this.bytes;
  }

  /** Stores one event, JSON without line breaks. Rejects with a SpoolError; a rejected event was not stored. */
  append(event: string): Promise<void> {
    const line = encodeLine(event);
    if (this.closed) return Promise.reject(new SpoolError('closed'));
    if (line.length > EVENT_BYTES_MAX) return Promise.reject(new RangeError('usage event is too large'));
    if (this.bytes + line.length > this.options.bytesMax) return Promise.reject(new SpoolError('full'));
    this.bytes += line.length;
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
        const segment = (this.segment ??= await this.createSegment());
        await writeAll(segment.file, buffer, segment.bytes);
        await segment.file.datasync();
        segment.bytes += buffer.length;
        for (const one of batch) one.resolve();
      } catch (cause) {
        this.bytes -= buffer.length;
        await this.abandonTail();
        for (const one of batch) one.reject(new SpoolError('disk', { cause }));
      }
    }
    this.writing = false;
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
    const name = `${Date.now()}~${hostname()}~${process.pid}~${randomUUID().slice(0, 8)}.open`;
    const path = join(this.options.directory, name);
    const file = await (this.options.openFile ?? open)(path, 'wx', 0o600);
    await syncDirectory(this.options.directory);
    return { path, file, bytes: 0 };
  }

  private async replayAll(deliver: (events: string[]) => Promise<void>, batchMax: number): Promise<ReplayResult> {
    await this.exclusively(() => this.seal());
    const result: ReplayResult = { events: 0, corrupt: 0 };
    const names = (await readdir(this.options.directory)).filter((name) => name.endsWith('.sealed')).sort();
    for (const name of names) {
      const path = join(this.options.directory, name);
      const bytes = await sizeOf(path);
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
      await unlink(path).catch(ignoreMissing);
      this.bytes = Math.max(0, this.bytes - bytes);
    }
    return result;
  }

  private async seal(): Promise<void> {
    if (!this.segment) return;
    const { file, path } = this.segment;
    this.segment = undefined;
    await file.close().catch(() => undefined);
    await rename(path, sealedPath(path));
  }
}

const sealedPath = (path: string): string => path.replace(/\.open$/, '.sealed');

/** On this machine, and no process with its id; our own id means an earlier life of it (containers always have id 1). */
function ownerIsGone(name: string): boolean {
  const [, host, pid] = name.split('~');
  if (host !== hostname()) return true;
  if (Number(pid) === process.pid) return true;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(ignoreMissing);
  return found?.size ?? 0;
}

/** Another process of this machine replayed the segment first. */
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
