import { estimateTokens } from '@omg/domain';
import { invalid, isObject, missing, optionalBoolean, optionalInteger, optionalNumber } from '../../check.js';
import type { Endpoint, ParsedRequest } from '../../endpoint.js';

const ROLES: ReadonlySet<unknown> = new Set(['developer', 'system', 'user', 'assistant', 'tool', 'function']);
const PART_TYPES: ReadonlySet<unknown> = new Set(['text', 'image_url', 'input_audio', 'file', 'refusal', 'thinking', 'redacted_thinking']);
const CHOICES_MAX = 128;
const STOPS_MAX = 4;

/** Tokens that providers add around each message; OpenAI documents 3 to 4 for its models. */
const TOKENS_PER_MESSAGE = 4;
/** A high-detail picture at the common providers: between 85 and some 1,600 tokens. */
const TOKENS_PER_IMAGE = 1000;
const TOKENS_PER_IMAGE_MAX = 16_384;

interface Walk {
  textChars: number;
  textBytesMax: number;
  images: number;
}

/** `POST /v1/chat/completions`, as in OpenAI's reference; fields that are not named here pass unchanged. */
export const chatCompletions: Endpoint = {
  path: '/v1/chat/completions',
  operation: 'chat',
  scope: 'chat',
  validate(body, raw): ParsedRequest {
    const walk: Walk = { textChars: 0, textBytesMax: 0, images: 0 };
    checkMessages(body.messages, walk);
    checkSampling(body);
    const choices = optionalInteger(body, 'n', 1, CHOICES_MAX) ?? 1;
    const hasTools = checkTools(body, walk);
    const stream = optionalBoolean(body, 'stream') ?? false;
    const streamOptions = body.stream_options;
    if (streamOptions !== undefined && streamOptions !== null) {
      if (!isObject(streamOptions)) throw invalid('stream_options', "'stream_options' must be an object.");
      if (!stream) throw invalid('stream_options', "'stream_options' is only allowed when 'stream' is true.");
      optionalBoolean(streamOptions, 'include_usage');
    }
    const format = body.response_format;
    if (format !== undefined && format !== null && !(isObject(format) && typeof format.type === 'string')) {
      throw invalid('response_format', "'response_format' must be an object with a 'type'.");
    }
    const outputTokensMax = outputLimit(body);
    const messages = (body.messages as unknown[]).length;
    return {
      stream,
      includeUsage: isObject(streamOptions) && streamOptions.include_usage === true,
      needs: {
        tools: hasTools,
        imageInput: walk.images > 0,
        jsonSchema: isObject(format) && format.type === 'json_schema',
        logprobs: body.logprobs === true,
        choices,
        tokenArrays: false,
      },
      inputTokensEstimate: estimateTokens(walk.textChars) + messages * TOKENS_PER_MESSAGE + walk.images * TOKENS_PER_IMAGE,
      inputTokensMax:
        (walk.images > 0 ? Math.min(raw.length, walk.textBytesMax) : raw.length) + messages * TOKENS_PER_MESSAGE + walk.images * TOKENS_PER_IMAGE_MAX,
      outputTokensMax: outputTokensMax === undefined ? undefined : outputTokensMax * choices,
    };
  },
};

function outputLimit(body: Record<string, unknown>): number | undefined {
  const older = optionalInteger(body, 'max_tokens', 1, Number.MAX_SAFE_INTEGER);
  const newer = optionalInteger(body, 'max_completion_tokens', 1, Number.MAX_SAFE_INTEGER);
  return newer ?? older;
}

function checkMessages(messages: unknown, walk: Walk): void {
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
  }
}

function checkContent(message: Record<string, unknown>, i: number, walk: Walk): void {
  const { content, tool_calls: toolCalls } = message;
  if (typeof content === 'string') {
    countText(content, walk);
  } else if (Array.isArray(content)) {
    for (let j = 0; j < content.length; j++) checkPart(content[j], `messages[${i}].content[${j}]`, walk);
  } else if (content !== undefined && content !== null) {
    throw invalid(`messages[${i}].content`, `'messages[${i}].content' must be a string, an array of parts, or null.`);
  } else if (message.role !== 'assistant') {
    throw missing(`messages[${i}].content`);
  }
  if (message.role === 'tool' && typeof message.tool_call_id !== 'string') throw missing(`messages[${i}].tool_call_id`);
  if (toolCalls === undefined || toolCalls === null) return;
  if (!Array.isArray(toolCalls)) throw invalid(`messages[${i}].tool_calls`, `'messages[${i}].tool_calls' must be an array.`);
  for (const call of toolCalls) {
    const fn = isObject(call) ? call.function : undefined;
    if (isObject(fn) && typeof fn.arguments === 'string') countText(fn.arguments, walk);
  }
}

function checkPart(part: unknown, at: string, walk: Walk): void {
  if (!isObject(part) || !PART_TYPES.has(part.type)) {
    throw invalid(`${at}.type`, `'${at}.type' must be one of: text, image_url, input_audio, file.`);
  }
  if (part.type === 'text') {
    if (typeof part.text !== 'string') throw missing(`${at}.text`);
    countText(part.text, walk);
    return;
  }
  if (part.type !== 'image_url') {
    if (part.type !== 'refusal') walk.images++;
    return;
  }
  const image = part.image_url;
  const url = isObject(image) ? image.url : image;
  if (typeof url !== 'string' || url.length === 0) throw missing(`${at}.image_url.url`);
  walk.images++;
}

function countText(text: string, walk: Walk): void {
  walk.textChars += text.length;
  walk.textBytesMax += text.length * 3;
}

function checkSampling(body: Record<string, unknown>): void {
  optionalNumber(body, 'temperature', 0, 2);
  optionalNumber(body, 'top_p', 0, 1);
  optionalNumber(body, 'presence_penalty', -2, 2);
  optionalNumber(body, 'frequency_penalty', -2, 2);
  optionalInteger(body, 'top_logprobs', 0, 20);
  optionalBoolean(body, 'logprobs');
  optionalBoolean(body, 'parallel_tool_calls');
  const stop = body.stop;
  if (stop === undefined || stop === null || typeof stop === 'string') return;
  if (!Array.isArray(stop) || stop.length > STOPS_MAX || !stop.every((s) => typeof s === 'string')) {
    throw invalid('stop', `'stop' must be a string or an array of at most ${STOPS_MAX} strings.`);
  }
}

function checkTools(body: Record<string, unknown>, walk: Walk): boolean {
  const tools = body.tools ?? body.functions;
  if (tools === undefined || tools === null) return false;
  const param = body.tools === undefined ? 'functions' : 'tools';
  if (!Array.isArray(tools)) throw invalid(param, `'${param}' must be an array.`);
  for (let i = 0; i < tools.length; i++) {
    if (!isObject(tools[i])) throw invalid(`${param}[${i}]`, `'${param}[${i}]' must be an object.`);
  }
  if (tools.length === 0) return false;
  // Tool schemas are input tokens too; their length as JSON is close enough and cheap next to the call.
  countText(JSON.stringify(tools), walk);
  return true;
}
