import { randomBytes } from 'node:crypto';
import type { Meters } from '@omg/domain';
import type { ProviderCall } from '../spec/provider.js';
import { estimatedMeters, usageFromMeters } from './usage.js';

/** For adapters that translate: they say what happened, and this writes it in OpenAI's wire. */

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export function newChatId(): string {
  return `chatcmpl-${randomBytes(12).toString('hex')}`;
}

export function newToolCallId(): string {
  return `call_${randomBytes(12).toString('hex')}`;
}

export function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}

/** What an answer must know of the call that it answers. */
export type AnsweredCall = Pick<ProviderCall, 'alias' | 'inputTokensEstimate'>;

/** The same of a stream, whose chunks carry `usage: null` where the client asked for the usage chunk. */
export type StreamedCall = AnsweredCall & Pick<ProviderCall, 'includeUsage'>;

export interface ChatWriterOptions {
  call: StreamedCall;
  id?: string;
  createdUnix?: number;
  /** Index of the choice that this writer writes; a stream with several has one writer for each, with the same id. */
  choice?: number;
}

/**
 * Writes the chunks of one stream, each a whole SSE frame. The first chunk of a choice carries the role. Tool calls are
 * counted here, from 0 in the order they begin, whatever number the provider gave its blocks.
 */
export class ChatChunkWriter {
  /** Bytes of text, reasoning and arguments written so far. */
  outputBytes = 0;
  private readonly head: string;
  private readonly tail: string;
  private readonly choice: number;
  private roleSent = false;
  private toolCalls = 0;
  private argumentsOpen = false;

  constructor(private readonly options: ChatWriterOptions) {
    const id = options.id ?? newChatId();
    const created = options.createdUnix ?? unixNow();
    this.head = `data: {"id":${JSON.stringify(id)},"object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(options.call.alias)},"choices":[`;
    this.tail = options.call.includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
    this.choice = options.choice ?? 0;
  }

  role(): Buffer {
    return this.delta('"content":""');
  }

  text(text: string, logprobs?: unknown): Buffer {
    this.outputBytes += Buffer.byteLength(text);
    return this.delta(`"content":${JSON.stringify(text)}`, logprobs);
  }

  refusal(text: string): Buffer {
    this.outputBytes += Buffer.byteLength(text);
    return this.delta(`"refusal":${JSON.stringify(text)}`);
  }

  /** Further members of a delta, such as signatures that a client must replay. */
  extras(members: Record<string, unknown>): Buffer {
    return this.delta(JSON.stringify(members).slice(1, -1));
  }

  reasoning(text: string): Buffer {
    this.outputBytes += Buffer.byteLength(text);
    return this.delta(`"reasoning_content":${JSON.stringify(text)}`);
  }

  /** How many tool calls have begun. */
  get toolCallCount(): number {
    return this.toolCalls;
  }

  /** Begins the next tool call; answers its frame. `extraContent`: what the client must send back with the call. */
  toolCall(id: string, name: string, extraContent?: unknown): Buffer {
    const index = this.toolCalls++;
    this.argumentsOpen = true;
    this.outputBytes += Buffer.byteLength(name);
    const call = { index, id, type: 'function', function: { name, arguments: '' }, extra_content: extraContent };
    return this.delta(`${this.roleSent ? '' : '"content":null,'}"tool_calls":[${JSON.stringify(call)}]`);
  }

  /** A piece of the JSON text of the arguments of the tool call begun last. */
  toolArguments(fragment: string): Buffer {
    this.outputBytes += Buffer.byteLength(fragment);
    if (fragment !== '') this.argumentsOpen = false;
    return this.delta(`"tool_calls":[${JSON.stringify({ index: this.toolCalls - 1, function: { arguments: fragment } })}]`);
  }

  /** Ends the tool call begun last: one without arguments gets `{}`, which is what clients parse. Undefined: nothing to say. */
  endToolCall(): Buffer | undefined {
    return this.argumentsOpen ? this.toolArguments('{}') : undefined;
  }

  finish(reason: FinishReason): Buffer {
    const role = this.roleSent ? '' : '"role":"assistant","content":""';
    this.roleSent = true;
    return this.frame(`{"index":${this.choice},"delta":{${role}},"logprobs":null,"finish_reason":"${reason}"}`);
  }

  /**
   * The last chunk, only for a client that asked for it; otherwise undefined. Without meters it tells what is booked then: an
   * estimate from the bytes of the whole answer, which is more than this writer's where there are several choices.
   */
  usage(meters: Meters | undefined, outputBytes = this.outputBytes): Buffer | undefined {
    const { includeUsage, inputTokensEstimate } = this.options.call;
    if (!includeUsage) return undefined;
    const usage = usageFromMeters(meters ?? estimatedMeters(inputTokensEstimate, outputBytes));
    return Buffer.from(`${this.head}],"usage":${JSON.stringify(usage)}}\n\n`);
  }

  private delta(members: string, logprobs?: unknown): Buffer {
    const role = this.roleSent ? '' : '"role":"assistant",';
    this.roleSent = true;
    const probabilities = logprobs === undefined ? 'null' : JSON.stringify(logprobs);
    return this.frame(`{"index":${this.choice},"delta":{${role}${members}},"logprobs":${probabilities},"finish_reason":null}`);
  }

  private frame(choice: string): Buffer {
    return Buffer.from(this.head + choice + this.tail);
  }
}

export interface ToolCallOut {
  id: string;
  name: string;
  /** JSON text of the arguments; blank becomes `{}`. */
  arguments: string;
  /** What the client must send back with the call. */
  extraContent?: unknown;
}

export interface ChatChoiceOut {
  /** Null where the model only called tools or refused. */
  content: string | null;
  reasoning?: string;
  refusal?: string;
  toolCalls?: readonly ToolCallOut[];
  finishReason: FinishReason;
  logprobs?: unknown;
  /** Further members of the message, such as signatures that a client must replay. */
  messageExtras?: Record<string, unknown>;
}

export interface ChatCompletionOut extends ChatChoiceOut {
  call: AnsweredCall;
  id?: string;
  createdUnix?: number;
  meters?: Meters;
  /** The choices after the first. */
  furtherChoices?: readonly ChatChoiceOut[];
}

/** The body of a chat completion that was not streamed. */
export function chatCompletionBody(out: ChatCompletionOut): Buffer {
  const choices = [out, ...(out.furtherChoices ?? [])];
  const outputBytes = choices.reduce((sum, choice) => sum + outputBytesOf(choice), 0);
  return Buffer.from(
    JSON.stringify({
      id: out.id ?? newChatId(),
      object: 'chat.completion',
      created: out.createdUnix ?? unixNow(),
      model: out.call.alias,
      choices: choices.map(choiceObject),
      usage: usageFromMeters(out.meters ?? estimatedMeters(out.call.inputTokensEstimate, outputBytes)),
    }),
  );
}

function choiceObject(out: ChatChoiceOut, index: number): Record<string, unknown> {
  const message: Record<string, unknown> = { role: 'assistant', content: out.content, refusal: out.refusal ?? null };
  if (out.reasoning !== undefined && out.reasoning !== '') message['reasoning_content'] = out.reasoning;
  if (out.toolCalls !== undefined && out.toolCalls.length > 0) {
    message['tool_calls'] = out.toolCalls.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments.trim() === '' ? '{}' : call.arguments },
      extra_content: call.extraContent,
    }));
  }
  Object.assign(message, out.messageExtras);
  return { index, message, logprobs: out.logprobs ?? null, finish_reason: out.finishReason };
}

/** Bytes of an answer's output, for an estimate where the provider reports no usage. */
export function outputBytesOf(out: Pick<ChatChoiceOut, 'content' | 'reasoning' | 'toolCalls'>): number {
  const calls = out.toolCalls?.reduce((sum, call) => sum + Buffer.byteLength(call.name) + Buffer.byteLength(call.arguments), 0) ?? 0;
  return Buffer.byteLength(out.content ?? '') + Buffer.byteLength(out.reasoning ?? '') + calls;
}
