import type { ConverseStreamOutput, ReasoningContentBlockDelta, TokenUsage } from '@aws-sdk/client-bedrock-runtime';
import { ChatChunkWriter, type StreamedCall } from '../kit/chat-writer.js';
import type { StreamTranslation } from '../kit/translated-stream.js';
import type { StreamProgress } from '../spec/provider.js';
import { finishReasonOf, redactedBlock, thinkingBlock } from './response.js';
import { metersOf } from './usage.js';

type Block = { kind: 'tool' } | { kind: 'passed over' } | { kind: 'reasoning'; text: string; signature: string } | { kind: 'text' };

/**
 * Follows one ConverseStream. Text blocks have no start event; usage comes after the stop, sometimes before it, so the
 * usage chunk waits for the end of the bytes. The answer is whole with `messageStop`.
 */
export class ConverseChunks implements StreamTranslation {
  ended = false;
  private readonly writer: ChatChunkWriter;
  private readonly blocks = new Map<number, Block>();
  /** Told once, together, before the finish: the SDKs' stream helpers can neither join two such lists nor keep the first. */
  private readonly thinkingBlocks: unknown[] = [];
  private usage: Partial<TokenUsage> | undefined;
  private frames: Buffer[] = [];
  /** The service called its own output malformed: told after the usage, which comes behind it. */
  private failure: unknown;

  constructor(
    call: StreamedCall,
    requestId: string | undefined,
    private readonly toolCallsMax = Number.POSITIVE_INFINITY,
  ) {
    this.writer = new ChatChunkWriter({ call, ...(requestId === undefined ? {} : { id: `chatcmpl-${requestId}` }) });
  }

  push(event: ConverseStreamOutput): void {
    // The first chunk waits for content: until then another route can still answer.
    if (event.contentBlockStart !== undefined) this.blockStart(event.contentBlockStart);
    else if (event.contentBlockDelta !== undefined) this.blockDelta(event.contentBlockDelta);
    else if (event.contentBlockStop !== undefined) this.blockStop(event.contentBlockStop.contentBlockIndex ?? 0);
    else if (event.messageStop !== undefined) this.messageStop(event.messageStop.stopReason);
    else if (event.metadata?.usage !== undefined) this.usage = event.metadata.usage;
  }

  take(): Buffer | undefined {
    if (this.frames.length === 0) return undefined;
    const taken = Buffer.concat(this.frames);
    this.frames = [];
    return taken;
  }

  end(): void {
    if (this.failure !== undefined) throw this.failure;
    const frame = this.ended ? this.writer.usage(metersOf(this.usage)) : undefined;
    if (frame !== undefined) this.frames.push(frame);
  }

  progress(): StreamProgress {
    return { meters: metersOf(this.usage), outputBytes: this.writer.outputBytes };
  }

  private messageStop(reason: string | undefined): void {
    try {
      const finish = finishReasonOf(reason);
      if (this.thinkingBlocks.length > 0) this.frames.push(this.writer.extras({ thinking_blocks: this.thinkingBlocks }));
      this.frames.push(this.writer.finish(finish));
      this.ended = true;
    } catch (error) {
      this.failure = error;
    }
  }

  private blockStart(start: NonNullable<ConverseStreamOutput['contentBlockStart']>): void {
    const tool = start.start?.toolUse;
    if (tool?.toolUseId === undefined || tool.name === undefined) return;
    const fits = this.writer.toolCallCount < this.toolCallsMax;
    this.blocks.set(start.contentBlockIndex ?? 0, { kind: fits ? 'tool' : 'passed over' });
    if (!fits) return;
    this.frames.push(this.writer.toolCall(tool.toolUseId, tool.name));
  }

  private blockDelta(event: NonNullable<ConverseStreamOutput['contentBlockDelta']>): void {
    const { delta } = event;
    if (this.blocks.get(event.contentBlockIndex ?? 0)?.kind === 'passed over') return;
    if (delta?.text) this.frames.push(this.writer.text(delta.text));
    else if (delta?.toolUse?.input) this.frames.push(this.writer.toolArguments(delta.toolUse.input));
    else if (delta?.reasoningContent !== undefined) this.reasoning(event.contentBlockIndex ?? 0, delta.reasoningContent);
  }

  private reasoning(index: number, delta: ReasoningContentBlockDelta): void {
    const known = this.blocks.get(index);
    const block = known?.kind === 'reasoning' ? known : { kind: 'reasoning' as const, text: '', signature: '' };
    this.blocks.set(index, block);
    if (delta.text) {
      block.text += delta.text;
      this.frames.push(this.writer.reasoning(delta.text));
    }
    if (delta.signature) block.signature += delta.signature;
    if (delta.redactedContent !== undefined) this.thinkingBlocks.push(redactedBlock(delta.redactedContent));
  }

  private blockStop(index: number): void {
    const block = this.blocks.get(index);
    this.blocks.delete(index);
    if (block?.kind === 'tool') {
      const frame = this.writer.endToolCall();
      if (frame !== undefined) this.frames.push(frame);
    } else if (block?.kind === 'reasoning' && block.signature !== '') {
      this.thinkingBlocks.push(thinkingBlock(block.text, block.signature));
    }
  }
}
