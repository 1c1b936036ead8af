import { invalid, isObject, missing, optionalString, requiredString } from '../../check.js';

const ROLES: ReadonlySet<unknown> = new Set(['developer', 'system', 'user', 'assistant', 'tool', 'function']);
const PART_TYPES: ReadonlySet<unknown> = new Set(['text', 'image_url', 'input_audio', 'file', 'refusal', 'thinking', 'redacted_thinking']);
/** What an assistant's turn may consist of when it has no content. */
const INSTEAD_OF_CONTENT = ['tool_calls', 'function_call', 'refusal', 'audio', 'reasoning_content', 'thinking_blocks'];

/** What one walk over the messages counts. */
export interface Walk {
  textBytes: number;
  textChars: number;
  /** Pictures, sounds and files. */
  media: number;
  /** What stands for pictures and sounds in the body: their tokens have nothing to do with its length. */
  mediaChars: number;
  hasImage: boolean;
  hasAudio: boolean;
}

export function countText(text: string, walk: Walk): void {
  walk.textBytes += Buffer.byteLength(text);
  walk.textChars += text.length;
}

/** Anything else that the model may be given to read: a text, or what is written as JSON. */
export function countRest(value: unknown, walk: Walk): void {
  if (typeof value === 'string') countText(value, walk);
  else if (typeof value === 'object' && value !== null) countText(JSON.stringify(value), walk);
}

/** Members of a message that are counted apart, or that no model reads. */
const COUNTED_APART: ReadonlySet<string> = new Set(['role', 'content', 'tool_calls', 'tool_call_id']);

/** Checks roles, contents, parts and tool calls; throws the field's path, such as `messages[2].content[0].type`. */
export function checkMessages(messages: unknown, walk: Walk): void {
  if (messages === undefined || messages === null) throw missing('messages');
  if (!Array.isArray(messages)) throw invalid('messages', "'messages' must be an array.");
  if (messages.length === 0) throw invalid('messages', "'messages' must not be empty.");
  for (let i = 0; i < messages.length; i++) {
    const message: unknown = messages[i];
    if (!isObject(message)) throw invalid(`messages[${i}]`, `'messages[${i}]' must be an object.`);
    if (!ROLES.has(message.role)) {
      throw invalid(`messages[${i}].role`, `'messages[${i}].role' must be one of: developer, system, user, assistant, tool.`);
    }
    checkContent(message, i, walk);
    for (const name in message) if (!COUNTED_APART.has(name)) countRest(message[name], walk);
    if (message.name !== undefined) optionalString(message, 'name', `messages[${i}].name`);
    if (message.tool_calls !== undefined && message.tool_calls !== null) checkToolCalls(message.tool_calls, `messages[${i}].tool_calls`, walk);
    if (message.role === 'tool') requiredString(message, 'tool_call_id', `messages[${i}].tool_call_id`);
  }
}

function checkContent(message: Record<string, unknown>, i: number, walk: Walk): void {
  const { content } = message;
  if (typeof content === 'string') {
    countText(content, walk);
  } else if (Array.isArray(content)) {
    for (let j = 0; j < content.length; j++) checkPart(content[j], `messages[${i}].content[${j}]`, walk);
  } else if (content !== undefined && content !== null) {
    throw invalid(`messages[${i}].content`, `'messages[${i}].content' must be a string, an array of parts, or null.`);
  } else if (message.role !== 'assistant' || !INSTEAD_OF_CONTENT.some((name) => isThere(message[name]))) {
    throw missing(`messages[${i}].content`);
  }
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
}

function checkPart(part: unknown, at: string, walk: Walk): void {
  if (!isObject(part) || !PART_TYPES.has(part.type)) {
    throw invalid(`${at}.type`, `'${at}.type' must be one of: text, image_url, input_audio, file.`);
  }
  switch (part.type) {
    case 'text':
      if (typeof part.text !== 'string') throw missing(`${at}.text`);
      countText(part.text, walk);
      return;
    case 'image_url': {
      const image = part.image_url;
      const url = isObject(image) ? image.url : image;
      if (typeof url !== 'string' || url.length === 0) throw missing(`${at}.image_url.url`);
      walk.hasImage = true;
      walk.media++;
      walk.mediaChars += url.length;
      return;
    }
    case 'input_audio': {
      const audio = part.input_audio;
      if (!isObject(audio)) throw missing(`${at}.input_audio`);
      requiredString(audio, 'format', `${at}.input_audio.format`);
      walk.mediaChars += requiredString(audio, 'data', `${at}.input_audio.data`).length;
      walk.hasAudio = true;
      walk.media++;
      return;
    }
    case 'file':
      if (!isObject(part.file)) throw missing(`${at}.file`);
      walk.media++;
      return;
    case 'refusal':
      return countRest(part.refusal, walk);
    default:
      walk.media++;
  }
}

function checkToolCalls(calls: unknown, at: string, walk: Walk): void {
  if (!Array.isArray(calls)) throw invalid(at, `'${at}' must be an array.`);
  for (let i = 0; i < calls.length; i++) {
    const call: unknown = calls[i];
    if (!isObject(call)) throw invalid(`${at}[${i}]`, `'${at}[${i}]' must be an object.`);
    requiredString(call, 'id', `${at}[${i}].id`);
    // Other kinds of calls are the provider's affair; a missing kind is a function's, as some servers write it.
    if (call.type !== undefined && call.type !== 'function') {
      countRest(call, walk);
      continue;
    }
    const { function: fn } = call;
    if (!isObject(fn)) throw missing(`${at}[${i}].function`);
    requiredString(fn, 'name', `${at}[${i}].function.name`);
    const args = optionalString(fn, 'arguments', `${at}[${i}].function.arguments`);
    if (args !== undefined) countText(args, walk);
  }
}
