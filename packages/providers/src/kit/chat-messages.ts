import { ProviderError } from '../spec/provider-error.js';
import { unsupportedParameter } from './errors.js';
import { isRecord } from './safe-json.js';

/**
 * OpenAI's messages in the form that providers with turns of their own want: system text apart, user and assistant turns
 * strictly alternating, all tool results of a turn together and first, empty text gone.
 *
 * Every problem is a ProviderError that names the field by its path, such as `messages[2].content[0].type`.
 */
export type MediaSource = { kind: 'data'; mediaType: string; data: string } | { kind: 'url'; url: string };

export interface TextPart {
  type: 'text';
  text: string;
  cacheControl?: unknown;
}
export interface MediaPart {
  type: 'image' | 'file' | 'audio';
  source: MediaSource;
  name?: string;
  /** Where the part stood in the request, for errors that only the provider's translation can find. */
  path: string;
  cacheControl?: unknown;
}
export type ChatPart = TextPart | MediaPart;

export interface ToolCall {
  id: string;
  name: string;
  input: Record<string, unknown>;
  /** What the provider gave with the call and wants back unchanged (`extra_content.google.thought_signature`). */
  signature?: string;
}
export interface ToolResult {
  toolCallId: string;
  parts: ChatPart[];
  cacheControl?: unknown;
}
export interface UserTurn {
  role: 'user';
  results: ToolResult[];
  parts: ChatPart[];
}
export interface AssistantTurn {
  role: 'assistant';
  /** Thinking blocks with their signatures, replayed unchanged. */
  thinking: Record<string, unknown>[];
  parts: TextPart[];
  toolCalls: ToolCall[];
}
export interface Conversation {
  /** Leading system and developer messages. */
  system: TextPart[];
  turns: (UserTurn | AssistantTurn)[];
}

/** What a provider's messages can hold; anything else in the request is refused. */
export interface MessageSupport {
  image: boolean;
  file: boolean;
  audio: boolean;
  cacheControl: boolean;
}

type Json = Record<string, unknown>;
type Item = { role: 'system'; parts: TextPart[] } | UserTurn | AssistantTurn;

export function invalid(param: string, internal?: string): ProviderError {
  return new ProviderError('invalid_request', { param, internal });
}

export function readConversation(messages: unknown, support: MessageSupport): Conversation {
  if (!Array.isArray(messages) || messages.length === 0) throw invalid('messages');
  const conversation: Conversation = { system: [], turns: [] };
  const severalAssistants = new Set(messages.filter(isAssistant).map(({ name }) => name ?? '')).size > 1;
  for (let index = 0; index < messages.length; index += 1) {
    const path = `messages[${index}]`;
    const item = readMessage(messages[index], path, support);
    append(conversation, item.role === 'assistant' && !severalAssistants ? item : named(item, messages[index], path));
  }
  if (conversation.turns.length === 0) throw invalid('messages', 'no message besides system text');
  return conversation;
}

function append(conversation: Conversation, item: Item): void {
  const last = conversation.turns.at(-1);
  if (item.role === 'system') {
    if (last === undefined) conversation.system.push(...item.parts);
    else append(conversation, { role: 'user', results: [], parts: item.parts.map(marked) });
    return;
  }
  if (item.role === 'user') {
    if (item.results.length === 0 && item.parts.length === 0) return;
    if (last?.role !== 'user') conversation.turns.push(item);
    else {
      last.results.push(...item.results);
      last.parts.push(...item.parts);
    }
    return;
  }
  if (item.parts.length === 0 && item.toolCalls.length === 0) return;
  if (last?.role !== 'assistant') conversation.turns.push(item);
  else {
    last.thinking.push(...item.thinking);
    last.parts.push(...item.parts);
    last.toolCalls.push(...item.toolCalls);
  }
}

/** A system message in mid-conversation keeps its place: it becomes user text, marked so that the model can tell. */
function marked(part: TextPart): TextPart {
  return { ...part, text: `<system>\n${part.text}\n</system>` };
}

const isAssistant = (message: unknown): message is Json => isRecord(message) && message.role === 'assistant';

/** What OpenAI takes as a participant's name. */
const NAME = /^[^\s<|\\/>]{1,64}$/;

/**
 * `name` tells participants of one role apart, which these providers cannot: their text begins with it. Not that of an assistant who is
 * the only one, since there is nobody to be told from, and models imitate what their own turns look like.
 */
function named(item: Item, { role, name }: Json, path: string): Item {
  if (role === 'tool' || name === undefined || name === null || name === '') return item;
  if (typeof name !== 'string' || !NAME.test(name)) throw invalid(`${path}.name`);
  const tag = `<name>${name}</name>\n`;
  const [first, ...rest] = item.parts;
  if (first?.type === 'text') return { ...item, parts: [{ ...first, text: tag + first.text }, ...rest] } as Item;
  return first === undefined ? item : ({ ...item, parts: [{ type: 'text', text: tag }, ...item.parts] } as Item);
}

function readMessage(message: unknown, path: string, support: MessageSupport): Item {
  if (!isRecord(message)) throw invalid(path);
  const { role } = message;
  switch (role) {
    case 'system':
    case 'developer':
      return { role: 'system', parts: textOnly(readParts(message, path, support), path) };
    case 'user': {
      const parts = readParts(message, path, support);
      if (parts.length === 0) throw invalid(`${path}.content`, 'empty user message');
      return { role: 'user', results: [], parts };
    }
    case 'assistant':
      return readAssistant(message, path, support);
    case 'tool': {
      if (typeof message.tool_call_id !== 'string' || message.tool_call_id === '') throw invalid(`${path}.tool_call_id`);
      const parts = readParts(message, path, support);
      const cacheControl = readCacheControl(message, path, support);
      return { role: 'user', results: [{ toolCallId: message.tool_call_id, parts, cacheControl }], parts: [] };
    }
    default:
      throw invalid(`${path}.role`);
  }
}

function readAssistant(message: Json, path: string, support: MessageSupport): AssistantTurn {
  if (isRecord(message.audio)) throw unsupportedParameter(`${path}.audio`);
  if (isRecord(message.function_call)) throw unsupportedParameter(`${path}.function_call`);
  const parts = textOnly(readParts(message, path, support), path);
  if (parts.length === 0 && typeof message.refusal === 'string' && message.refusal.trim() !== '') {
    parts.push({ type: 'text', text: message.refusal });
  }
  const calls = message.tool_calls ?? [];
  if (!Array.isArray(calls)) throw invalid(`${path}.tool_calls`);
  const blocks = message.thinking_blocks ?? [];
  if (!Array.isArray(blocks) || !blocks.every(isRecord)) throw invalid(`${path}.thinking_blocks`);
  return {
    role: 'assistant',
    thinking: blocks,
    parts,
    toolCalls: calls.map((call, index) => readToolCall(call, `${path}.tool_calls[${index}]`)),
  };
}

function readToolCall(call: unknown, path: string): ToolCall {
  if (!isRecord(call)) throw invalid(path);
  if (call.type !== undefined && call.type !== 'function') throw unsupportedParameter(`${path}.type`);
  if (!isRecord(call.function) || typeof call.function.name !== 'string') throw invalid(`${path}.function`);
  if (typeof call.id !== 'string' || call.id === '') throw invalid(`${path}.id`);
  return {
    id: call.id,
    name: call.function.name,
    input: parseArguments(call.function.arguments, `${path}.function.arguments`),
    signature: thoughtSignature(call),
  };
}

function thoughtSignature(call: Json): string | undefined {
  const extra = call.extra_content;
  const google = isRecord(extra) ? extra.google : undefined;
  const signature = isRecord(google) ? google.thought_signature : undefined;
  return typeof signature === 'string' ? signature : undefined;
}

/** Models call tools without arguments as "", blank, or nothing at all; all of them mean an empty object. */
function parseArguments(text: unknown, path: string): Json {
  if (text === undefined || text === null) return {};
  if (typeof text !== 'string') throw invalid(path);
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // The refusal below names the field; the parser's text adds nothing that the client may see.
  }
  throw invalid(path, 'arguments are not a JSON object');
}

/** The parts of a message's content, without empty text: providers refuse it, and a blank added in its place is not what was said. */
function readParts(message: Json, path: string, support: MessageSupport): ChatPart[] {
  const { content } = message;
  if (content === undefined || content === null) return [];
  if (typeof content === 'string') {
    if (content.trim() === '') return [];
    const cacheControl = message.role === 'tool' ? undefined : readCacheControl(message, path, support);
    return [{ type: 'text', text: content, cacheControl }];
  }
  if (!Array.isArray(content)) throw invalid(`${path}.content`);
  const parts: ChatPart[] = [];
  for (let index = 0; index < content.length; index += 1) {
    const part = readPart(content[index], `${path}.content[${index}]`, support);
    if (part.type !== 'text' || part.text.trim() !== '') parts.push(part);
  }
  return parts;
}

function readPart(part: unknown, path: string, support: MessageSupport): ChatPart {
  if (!isRecord(part)) throw invalid(path);
  const cacheControl = readCacheControl(part, path, support);
  switch (part.type) {
    case 'text':
      if (typeof part.text !== 'string') throw invalid(`${path}.text`);
      return { type: 'text', text: part.text, cacheControl };
    case 'refusal':
      if (typeof part.refusal !== 'string') throw invalid(`${path}.refusal`);
      return { type: 'text', text: part.refusal, cacheControl };
    case 'image_url': {
      if (!support.image) throw unsupportedParameter(`${path}.type`);
      const url = isRecord(part.image_url) ? part.image_url.url : part.image_url;
      return { type: 'image', source: readMedia(url, `${path}.image_url.url`), path: `${path}.image_url.url`, cacheControl };
    }
    case 'file':
      return readFile(part, path, support, cacheControl);
    case 'input_audio': {
      if (!support.audio) throw unsupportedParameter(`${path}.type`);
      const audio = part.input_audio;
      if (!isRecord(audio) || typeof audio.data !== 'string' || typeof audio.format !== 'string') throw invalid(`${path}.input_audio`);
      return { type: 'audio', source: { kind: 'data', mediaType: `audio/${audio.format}`, data: audio.data }, path, cacheControl };
    }
    default:
      throw unsupportedParameter(`${path}.type`);
  }
}

function readFile(part: Json, path: string, support: MessageSupport, cacheControl: unknown): MediaPart {
  if (!support.file) throw unsupportedParameter(`${path}.type`);
  if (!isRecord(part.file)) throw invalid(`${path}.file`);
  if (part.file.file_id !== undefined && part.file.file_id !== null) throw unsupportedParameter(`${path}.file.file_id`);
  const source = readMedia(part.file.file_data, `${path}.file.file_data`);
  const name = typeof part.file.filename === 'string' ? part.file.filename : undefined;
  return { type: 'file', source, name, path: `${path}.file.file_data`, cacheControl };
}

const DATA_URL = /^data:([a-z]+\/[a-z0-9.+-]+)(?:;[a-z0-9=.-]+)*;base64,/i;

function readMedia(url: unknown, path: string): MediaSource {
  if (typeof url !== 'string') throw invalid(path);
  if (/^(https?|gs):\/\//i.test(url)) return { kind: 'url', url };
  // Only the head is matched: the data behind it may be megabytes.
  const head = DATA_URL.exec(url.slice(0, 256));
  if (head === null) throw invalid(path, 'neither an https URL nor a base64 data URL');
  return { kind: 'data', mediaType: head[1]!.toLowerCase(), data: url.slice(head[0].length) };
}

function readCacheControl(holder: Json, path: string, support: MessageSupport): unknown {
  if (holder.cache_control === undefined || holder.cache_control === null) return undefined;
  if (!support.cacheControl) throw unsupportedParameter(`${path}.cache_control`);
  return holder.cache_control;
}

function textOnly(parts: ChatPart[], path: string): TextPart[] {
  for (const part of parts) if (part.type !== 'text') throw unsupportedParameter(`${path}.content`);
  return parts as TextPart[];
}

const FOREIGN_ID = /[^a-zA-Z0-9_-]/g;

/** A call's id for providers that take letters, digits, `_` and `-` alone: ids of another provider's turn may hold more. */
export function plainToolId(id: string): string {
  return id.replace(FOREIGN_ID, '_');
}
