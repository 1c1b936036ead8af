import { ChatChunkWriter, newChatId, newToolCallId, unixNow, type StreamedCall } from '../kit/chat-writer.js';
import { isRecord, textOf, tryParseJson } from '../kit/safe-json.js';
import type { SseTranslation } from '../kit/translated-stream.js';
import type { StreamProgress } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { errorOf, googleError } from './errors.js';
import { applyPartialArgs } from './partial-args.js';
import { candidatesOf, extraContentOf, finishReasonOf, logprobsOf, partsOf, refuseBlocked } from './response.js';
import { metersOf } from './usage.js';

type Json = Record<string, unknown>;

interface Choice {
  writer: ChatChunkWriter;
  finished: boolean;
  /** A call whose arguments come in pieces: told to the client when they are whole. */
  partial?: { part: Json; name: string; id: string; args: Json };
}

/**
 * Follows one streamGenerateContent stream. Every chunk is a whole answer object with the next parts; there is no
 * terminator, so the stream is whole when each choice it began has its finish reason. Counts repeat: the last one holds.
 */
export class GeminiChunks implements SseTranslation {
  private readonly choices: Choice[] = [];
  private id: string | undefined;
  private readonly createdUnix = unixNow();
  private usage: unknown;
  /** The last count came with an end of the output, or with the reason why there is none: nothing will be added to it. */
  private usageFinal = false;
  private frames: Buffer[] = [];

  constructor(
    private readonly call: StreamedCall,
    private readonly toolCallsMax = Number.POSITIVE_INFINITY,
  ) {}

  get ended(): boolean {
    return this.choices.length > 0 && this.choices.every((choice) => choice === undefined || choice.finished);
  }

  event(data: Buffer): void {
    const chunk = tryParseJson(data);
    const error = errorOf(chunk);
    if (error !== undefined) throw googleError(undefined, error);
    if (!isRecord(chunk)) throw new ProviderError('malformed', { internal: 'a chunk is not a JSON object' });
    // Early chunks may carry usage without counts: those say nothing yet.
    if (metersOf(chunk.usageMetadata) !== undefined) this.usage = chunk.usageMetadata;
    this.id ??= textOf(chunk.responseId);
    const candidates = candidatesOf(chunk);
    this.usageFinal = candidates.length === 0 ? chunk.promptFeedback !== undefined : candidates.some((one) => textOf(one.finishReason) !== undefined);
    if (candidates.length === 0) refuseBlocked(chunk);
    for (const candidate of candidates) this.candidate(candidate);
  }

  take(): Buffer | undefined {
    if (this.frames.length === 0) return undefined;
    const taken = this.frames.length === 1 ? this.frames[0] : Buffer.concat(this.frames);
    this.frames = [];
    return taken;
  }

  end(): void {
    const writer = this.choices.find((choice) => choice !== undefined)?.writer;
    const frame = this.ended ? writer?.usage(metersOf(this.usage), this.progress().outputBytes) : undefined;
    if (frame !== undefined) this.frames.push(frame);
  }

  progress(): StreamProgress {
    const outputBytes = this.choices.reduce((sum, choice) => sum + choice.writer.outputBytes, 0);
    const meters = metersOf(this.usage);
    return this.ended || this.usageFinal ? { meters, outputBytes } : { inputMeters: meters, outputBytes };
  }

  private candidate(candidate: Json): void {
    const choice = this.choiceAt(Number(candidate.index ?? 0));
    if (choice.finished) return;
    let logprobs = logprobsOf(candidate);
    for (const part of partsOf(candidate)) {
      if (isRecord(part.functionCall)) this.functionCall(choice, part, part.functionCall);
      else if (typeof part.text === 'string' && part.text !== '') {
        this.flushPartial(choice);
        this.frames.push(part.thought === true ? choice.writer.reasoning(part.text) : choice.writer.text(part.text, logprobs));
        if (part.thought !== true) logprobs = undefined;
      }
    }
    const reason = textOf(candidate.finishReason);
    if (reason === undefined) return;
    this.flushPartial(choice);
    const finish = finishReasonOf(reason, choice.writer.toolCallCount > 0);
    choice.finished = true;
    this.frames.push(choice.writer.finish(finish));
  }

  private choiceAt(index: number): Choice {
    if (!Number.isInteger(index) || index < 0 || index > 127) throw new ProviderError('malformed', { internal: 'a candidate with an impossible index' });
    const known = this.choices[index];
    if (known !== undefined) return known;
    this.id ??= newChatId();
    const id = this.id.startsWith('chatcmpl-') ? this.id : `chatcmpl-${this.id}`;
    const { call, createdUnix } = this;
    const choice: Choice = { writer: new ChatChunkWriter({ call, id, createdUnix, choice: index }), finished: false };
    // The first chunk waits for content: until then another route can still answer.
    this.choices[index] = choice;
    return choice;
  }

  /** Calls normally come whole; with argument streaming a name comes first, then pieces, then an empty call as the end. */
  private functionCall(choice: Choice, part: Json, call: Json): void {
    const name = textOf(call.name);
    if (name !== undefined) {
      this.flushPartial(choice);
      if (choice.writer.toolCallCount >= this.toolCallsMax) return;
      const args = isRecord(call.args) ? call.args : {};
      choice.partial = { part, name, id: textOf(call.id) ?? newToolCallId(), args };
    }
    const { partial } = choice;
    if (partial === undefined) return;
    if (Array.isArray(call.partialArgs)) applyPartialArgs(partial.args, call.partialArgs);
    if (call.willContinue !== true) this.flushPartial(choice);
  }

  private flushPartial(choice: Choice): void {
    const { partial } = choice;
    if (partial === undefined) return;
    choice.partial = undefined;
    this.frames.push(choice.writer.toolCall(partial.id, partial.name, extraContentOf(partial.part)));
    this.frames.push(choice.writer.toolArguments(JSON.stringify(partial.args)));
  }
}
