import type { Meters } from '@omg/domain';
import { ProviderError } from '../spec/provider-error.js';
import type { StreamReply } from '../spec/provider.js';
import type { TransportResponse } from '../spec/transport.js';
import { SseReader } from '../kit/sse-reader.js';
import { estimatedMeters, metersFromUsage, usageFromMeters } from '../kit/usage.js';
import { ChatRewriter, type RewriterOptions } from './chat-rewriter.js';

/**
 * A chat stream on its way through: each network buffer in becomes at most one buffer of whole frames out.
 *
 * The stream is good when every choice that began has its finish_reason; `[DONE]` alone does not make it so, and a server
 * that leaves `[DONE]` out is forgiven. What was read before a fault is passed on first, then the fault is thrown.
 */

/** What may follow `[DONE]` before the connection is given up. The transport's idle timeout bounds the wait. */
const DRAIN_CHUNKS_MAX = 16;

/** Buffers held back before the model begins; a server that sends more without saying anything is passed on. */
const HELD_MAX = 16;

const DATA = Buffer.from('data: ');
const FRAME_END = Buffer.from('\n\n');
const LF = 0x0a;
const OPEN_BRACE = 0x7b;

class FrameBuffer {
  private buf = Buffer.alloc(0);
  private length = 0;

  begin(capacity: number): void {
    this.buf = Buffer.allocUnsafe(capacity);
    this.length = 0;
  }

  /** Room for so many more bytes; answers where they go. */
  reserve(bytes: number): { buf: Buffer; at: number } {
    if (this.length + bytes > this.buf.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.buf.length * 2, this.length + bytes));
      this.buf.copy(grown, 0, 0, this.length);
      this.buf = grown;
    }
    return { buf: this.buf, at: this.length };
  }

  ended(at: number): void {
    this.length = at;
  }

  append(bytes: Buffer): void {
    const { buf, at } = this.reserve(bytes.length);
    this.length = at + bytes.copy(buf, at);
  }

  take(): Buffer | undefined {
    return this.length === 0 ? undefined : this.buf.subarray(0, this.length);
  }
}

export class ChatStreamRewriter {
  meters: Meters | undefined;
  done = false;
  private failure: unknown;
  private readonly rewriter: ChatRewriter;
  private readonly reader: SseReader;
  private readonly out = new FrameBuffer();
  /** The frame that ends the stream for a client that asked for usage. */
  private usageFrame: Buffer | undefined;

  constructor(
    private readonly options: RewriterOptions,
    private readonly inputTokensEstimate: number,
  ) {
    this.rewriter = new ChatRewriter(options);
    this.reader = new SseReader((data, start, end, event) => this.event(data, start, end, event));
  }

  get outputBytes(): number {
    return this.rewriter.outputBytes;
  }

  /** Frames out of the bytes; undefined when they held none. A fault is kept for `check`. */
  push(chunk: Buffer): Buffer | undefined {
    this.out.begin(chunk.length + (chunk.length >> 2) + 512);
    try {
      this.reader.push(chunk);
    } catch (error) {
      this.failure ??= error;
    }
    return this.out.take();
  }

  /** The frames that are due once the stream is over; a fault is kept for `check`. */
  end(): Buffer | undefined {
    if (this.failure !== undefined) return undefined;
    if (!this.rewriter.allFinished()) {
      this.failure = new ProviderError('malformed', { internal: 'the stream ended before the answer did' });
      return undefined;
    }
    const frame = this.options.includeUsage && this.meters === undefined ? this.estimatedUsage() : this.usageFrame;
    this.usageFrame = undefined;
    return frame;
  }

  /** Whether the model has said anything yet: the role alone is nothing that a client could miss. */
  get begun(): boolean {
    return this.rewriter.begun;
  }

  get failed(): boolean {
    return this.failure !== undefined;
  }

  /** Throws the fault that ended the stream, if one did. */
  check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  private event(data: Buffer, start: number, end: number, event: string): void {
    if (this.done) return;
    if (data[start] !== OPEN_BRACE) {
      const text = data.toString('latin1', start, Math.min(end, start + 32)).trim();
      if (text === '[DONE]') {
        this.done = true;
        return;
      }
      if (text === '' && end - start < 32) return;
    }
    // Data that came in several lines is joined with line ends, which a frame must not hold.
    if (start === 0 && end === data.length) for (let i = data.indexOf(LF); i >= 0; i = data.indexOf(LF, i)) data[i] = 0x20;
    const { rewriter } = this;
    try {
      rewriter.scan(data, start, end);
    } catch (error) {
      this.meters = (rewriter.usage && metersFromUsage(rewriter.usage)) ?? this.meters;
      throw error;
    }
    if (event === 'error') throw new ProviderError('server_error', { internal: 'the stream held an error event' });
    this.takeUsage(data, start, end);
    if (rewriter.choiceCount === 0) return;
    for (const { choice, call } of rewriter.missingArguments) this.out.append(this.emptyArguments(choice, call));
    this.write(data, start, end);
  }

  private takeUsage(data: Buffer, start: number, end: number): void {
    const { rewriter } = this;
    if (rewriter.usage === undefined) return;
    const meters = metersFromUsage(rewriter.usage);
    // Always the last one: some servers repeat a growing sum on every chunk.
    if (meters !== undefined) this.meters = meters;
    if (!this.options.includeUsage) return;
    if (rewriter.choiceCount > 0) {
      this.usageFrame = Buffer.from(`${this.head()}"choices":[],"usage":${rewriter.usageBytes().toString()}}\n\n`);
      return;
    }
    const size = rewriter.edits.size(start, end);
    const frame = Buffer.allocUnsafe(DATA.length + size + FRAME_END.length);
    DATA.copy(frame);
    FRAME_END.copy(frame, rewriter.edits.write(data, start, end, frame, DATA.length));
    this.usageFrame = frame;
  }

  private write(data: Buffer, start: number, end: number): void {
    const { edits } = this.rewriter;
    const { buf, at } = this.out.reserve(DATA.length + edits.size(start, end) + FRAME_END.length);
    DATA.copy(buf, at);
    const after = edits.write(data, start, end, buf, at + DATA.length);
    buf[after] = LF;
    buf[after + 1] = LF;
    this.out.ended(after + 2);
  }

  private estimatedUsage(): Buffer {
    const usage = usageFromMeters(estimatedMeters(this.inputTokensEstimate, this.outputBytes));
    return Buffer.from(`${this.head()}"choices":[],"usage":${JSON.stringify(usage)}}\n\n`);
  }

  private head(): string {
    const { id, created } = this.rewriter;
    return `data: {"id":${id.toString()},"object":"chat.completion.chunk","created":${created.toString()},"model":${this.options.aliasJson.toString()},`;
  }

  private emptyArguments(choice: number, call: number): Buffer {
    const delta = `{"tool_calls":[{"index":${call},"function":{"arguments":"{}"}}]}`;
    const usage = this.options.includeUsage ? ',"usage":null' : '';
    return Buffer.from(`${this.head()}"choices":[{"index":${choice},"delta":${delta},"finish_reason":null}]${usage}}\n\n`);
  }
}

class ChatStream implements AsyncIterableIterator<Buffer> {
  private readonly source: AsyncIterator<Buffer>;
  private over = false;
  /** Frames that came before the model began: while they wait, a fault can still lead to another route. */
  private held: Buffer[] | undefined = [];

  constructor(
    response: TransportResponse,
    private readonly rewriter: ChatStreamRewriter,
  ) {
    this.source = response.chunks()[Symbol.asyncIterator]();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Buffer>> {
    while (!this.over) {
      const step = await this.source.next();
      const frames = step.done === true ? this.atEnd() : await this.atChunk(step.value);
      const due = this.held === undefined ? frames : this.holdBack(this.held, frames);
      if (due !== undefined) return { done: false, value: due };
    }
    return this.fail();
  }

  private atEnd(): Buffer | undefined {
    this.over = true;
    return this.rewriter.end();
  }

  private async atChunk(chunk: Buffer): Promise<Buffer | undefined> {
    const frames = this.rewriter.push(chunk);
    if (this.rewriter.failed) {
      this.over = true;
      await this.source.return?.();
    } else if (this.rewriter.done) {
      // The client has its answer now: it does not wait for the connection.
      this.over = true;
      void drain(this.source);
      const last = this.rewriter.end();
      if (last !== undefined) return frames === undefined ? last : Buffer.concat([frames, last]);
    }
    return frames;
  }

  /** Until the model begins, frames wait; a stream that fails before that has sent nothing. */
  private holdBack(held: Buffer[], frames: Buffer | undefined): Buffer | undefined {
    if (frames !== undefined) held.push(frames);
    if (!this.rewriter.begun && held.length < HELD_MAX) return undefined;
    this.held = undefined;
    return held.length > 1 ? Buffer.concat(held) : held[0];
  }

  async return(): Promise<IteratorResult<Buffer>> {
    this.over = true;
    await this.source.return?.();
    return { done: true, value: undefined };
  }

  /** The end: throws what went wrong, if something did. */
  private fail(): IteratorResult<Buffer> {
    this.rewriter.check();
    return { done: true, value: undefined };
  }
}

/** Reads a body on to its end so that the connection can be used again; a server that breaks it now harms nobody. */
async function drain(source: AsyncIterator<Buffer>): Promise<void> {
  try {
    for (let i = 0; i < DRAIN_CHUNKS_MAX; i++) if ((await source.next()).done === true) return;
    await source.return?.();
  } catch {
    // The answer is complete: how its connection ends is of no interest.
  }
}

export function chatStreamReply(response: TransportResponse, options: RewriterOptions, inputTokensEstimate: number): StreamReply {
  const rewriter = new ChatStreamRewriter(options, inputTokensEstimate);
  return {
    kind: 'stream',
    frames: new ChatStream(response, rewriter),
    progress: () => ({ ...(rewriter.meters === undefined ? {} : { meters: rewriter.meters }), outputBytes: rewriter.outputBytes }),
  };
}
