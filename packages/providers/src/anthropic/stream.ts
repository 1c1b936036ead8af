import { ChatChunkWriter, type StreamedCall } from '../kit/chat-writer.js';
import { faultOf } from '../kit/errors.js';
import { isRecord, textOf, tryParseJson } from '../kit/safe-json.js';
import type { StreamProgress } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { anthropicError } from './errors.js';
import { finishReasonOf, refusalOf } from './response.js';
import { UsageReport } from './usage.js';

type Json = Record<string, unknown>;
type Block = { type: 'text' } | { type: 'tool' } | { type: 'thinking'; thinking: string; signature: string } | { type: 'other' };

/**
 * Follows one stream of Anthropic events and says them as OpenAI chunks.
 *
 * Blocks are told apart by Anthropic's index, which counts every kind of block; tool calls get OpenAI's own numbers.
 * The stream is whole only with `message_stop`. Events and blocks of kinds not known here are passed over.
 */
export class MessageStream {
  ended = false;
  private writer: ChatChunkWriter | undefined;
  private readonly blocks = new Map<number, Block>();
  /** Told once, together, before the finish: the SDKs' stream helpers can neither join two such lists nor keep the first. */
  private readonly thinkingBlocks: unknown[] = [];
  private readonly usage = new UsageReport();
  private stopReason: unknown;
  private frames: Buffer[] = [];
  private outputFinal = false;
  /** Nothing is told before the model begins: an overloaded service fails right after its message_start, and another route can still answer. */
  private told = false;

  constructor(private readonly call: StreamedCall) {}

  /** Takes one event; `json` is its data. Throws a ProviderError for an error event. */
  event(json: Buffer | string): void {
    if (this.ended) return;
    const event = tryParseJson(json);
    if (!isRecord(event)) throw new ProviderError('malformed', { internal: 'an event is not a JSON object' });
    switch (event.type) {
      case 'message_start':
        return this.messageStart(event);
      case 'content_block_start':
        return this.blockStart(event);
      case 'content_block_delta':
        return this.blockDelta(event);
      case 'content_block_stop':
        return this.blockStop(event);
      case 'message_delta':
        return this.messageDelta(event);
      case 'message_stop':
        return this.messageStop(event);
      case 'error':
        throw anthropicError(undefined, faultOf(event));
      default:
    }
  }

  /** The frames since the last call, as one buffer. */
  take(): Buffer | undefined {
    if (this.frames.length === 0) return undefined;
    const taken = this.frames.length === 1 ? this.frames[0] : Buffer.concat(this.frames);
    this.frames = [];
    return taken;
  }

  /** Before the provider's last word on usage, its count of the output is a mere beginning: then only the text is known. */
  progress(): StreamProgress {
    const outputBytes = this.writer?.outputBytes ?? 0;
    const meters = this.usage.meters();
    return this.outputFinal ? { meters, outputBytes } : { inputMeters: meters, outputBytes };
  }

  private messageStart(event: Json): void {
    // A second start inside one stream is a known defect of proxies: the message goes on.
    if (!isRecord(event.message) || this.writer !== undefined) return;
    const id = textOf(event.message.id);
    this.writer = new ChatChunkWriter({
      call: this.call,
      ...(id === undefined ? {} : { id: `chatcmpl-${id}` }),
    });
    this.usage.merge(event.message.usage);
  }

  private begun(): ChatChunkWriter {
    if (this.writer === undefined) throw new ProviderError('malformed', { internal: 'the stream does not begin with message_start' });
    return this.writer;
  }

  private blockStart(event: Json): void {
    const writer = this.begun();
    if (!this.told) this.frames.push(writer.role());
    this.told = true;
    const block = isRecord(event.content_block) ? event.content_block : {};
    const index = Number(event.index);
    if (block.type === 'text') {
      this.blocks.set(index, { type: 'text' });
      if (typeof block.text === 'string' && block.text !== '') this.frames.push(writer.text(block.text));
    } else if (block.type === 'tool_use' && typeof block.id === 'string' && typeof block.name === 'string') {
      this.blocks.set(index, { type: 'tool' });
      this.frames.push(writer.toolCall(block.id, block.name));
      if (isRecord(block.input) && Object.keys(block.input).length > 0) this.frames.push(writer.toolArguments(JSON.stringify(block.input)));
    } else if (block.type === 'thinking') {
      this.blocks.set(index, { type: 'thinking', thinking: textOf(block.thinking) ?? '', signature: textOf(block.signature) ?? '' });
    } else {
      this.blocks.set(index, { type: 'other' });
      if (block.type === 'redacted_thinking') this.thinkingBlocks.push(block);
    }
  }

  private blockDelta(event: Json): void {
    const writer = this.begun();
    const block = this.blocks.get(Number(event.index));
    const { delta } = event;
    if (block === undefined || !isRecord(delta)) return;
    if (block.type === 'text' && typeof delta.text === 'string') {
      if (delta.text !== '') this.frames.push(writer.text(delta.text));
    } else if (block.type === 'tool' && typeof delta.partial_json === 'string') {
      if (delta.partial_json !== '') this.frames.push(writer.toolArguments(delta.partial_json));
    } else if (block.type === 'thinking') {
      if (typeof delta.thinking === 'string' && delta.thinking !== '') {
        block.thinking += delta.thinking;
        this.frames.push(writer.reasoning(delta.thinking));
      }
      if (typeof delta.signature === 'string') block.signature += delta.signature;
    }
  }

  private blockStop(event: Json): void {
    const writer = this.begun();
    const index = Number(event.index);
    const block = this.blocks.get(index);
    this.blocks.delete(index);
    if (block?.type === 'tool') {
      const frame = writer.endToolCall();
      if (frame !== undefined) this.frames.push(frame);
    } else if (block?.type === 'thinking' && block.signature !== '') {
      this.thinkingBlocks.push(block);
    }
  }

  private messageDelta(event: Json): void {
    const writer = this.begun();
    this.usage.merge(event.usage);
    this.outputFinal = isRecord(event.usage);
    if (!isRecord(event.delta)) return;
    this.stopReason = event.delta.stop_reason ?? this.stopReason;
    const refusal = refusalOf(event.delta.stop_details);
    if (refusal !== undefined) this.frames.push(writer.refusal(refusal));
  }

  private messageStop(event: Json): void {
    const writer = this.begun();
    this.mergeInvocationMetrics(event['amazon-bedrock-invocationMetrics']);
    if (this.stopReason === undefined || this.stopReason === null) throw new ProviderError('malformed', { internal: 'the stream has no stop reason' });
    if (this.thinkingBlocks.length > 0) this.frames.push(writer.extras({ thinking_blocks: this.thinkingBlocks }));
    this.frames.push(writer.finish(finishReasonOf(this.stopReason)));
    const frame = writer.usage(this.usage.meters());
    if (frame !== undefined) this.frames.push(frame);
    this.ended = true;
  }

  /** Bedrock's own count, on the last event: it is what the invoice is made from, so it replaces the model's. */
  private mergeInvocationMetrics(metrics: unknown): void {
    if (!isRecord(metrics)) return;
    this.usage.merge({
      input_tokens: metrics.inputTokenCount,
      output_tokens: metrics.outputTokenCount,
      cache_read_input_tokens: metrics.cacheReadInputTokenCount,
      cache_creation_input_tokens: metrics.cacheWriteInputTokenCount,
    });
    this.outputFinal = true;
  }
}
