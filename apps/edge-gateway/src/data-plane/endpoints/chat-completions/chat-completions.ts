import { estimateTokens } from '@omg/domain';
import { invalid, isObject, missing, optionalBoolean, optionalInteger, optionalNumber, optionalObject, optionalString, requiredString } from '../../check.js';
import type { Endpoint, ParsedRequest } from '../../endpoint.js';
import { checkMessages, countRest, type Walk } from './messages.js';

const CHOICES_MAX = 128;
const STOPS_MAX = 4;

const TEXTS = ['user', 'safety_identifier', 'prompt_cache_key', 'reasoning_effort', 'verbosity', 'service_tier'];
const TOOL_CHOICES: ReadonlySet<unknown> = new Set(['none', 'auto', 'required']);

/** Tokens that providers add around each message; OpenAI documents 3 to 4 for its models. */
const TOKENS_PER_MESSAGE = 4;
/** A high-detail picture at the common providers: between 85 and some 1,600 tokens. */
const TOKENS_PER_MEDIUM = 1000;
const TOKENS_PER_MEDIUM_MAX = 16_384;

/** `POST /v1/chat/completions`, as in OpenAI's reference; fields that are not named here pass unchanged. */
export const chatCompletions: Endpoint = {
  path: '/v1/chat/completions',
  operation: 'chat',
  scope: 'chat',
  validate(body, raw): ParsedRequest {
    const walk: Walk = { textBytes: 0, textChars: 0, media: 0, mediaChars: 0, hasImage: false, hasAudio: false };
    checkMessages(body.messages, walk);
    checkSampling(body);
    checkOthers(body);
    const choices = optionalInteger(body, 'n', 1, CHOICES_MAX) ?? 1;
    const hasTools = checkTools(body, walk);
    const stream = optionalBoolean(body, 'stream') ?? false;
    const streamOptions = body.stream_options;
    if (streamOptions !== undefined && streamOptions !== null) {
      if (!isObject(streamOptions)) throw invalid('stream_options', "'stream_options' must be an object.");
      if (!stream) throw invalid('stream_options', "'stream_options' is only allowed when 'stream' is true.");
      optionalBoolean(streamOptions, 'include_usage', 'stream_options.include_usage');
      optionalBoolean(streamOptions, 'include_obfuscation', 'stream_options.include_obfuscation');
    }
    const format = body.response_format;
    if (format !== undefined && format !== null && !(isObject(format) && typeof format.type === 'string')) {
      throw invalid('response_format', "'response_format' must be an object with a 'type'.");
    }
    countRest(format, walk);
    const outputTokensMax = outputLimit(body);
    const messages = (body.messages as unknown[]).length;
    const others = messages * TOKENS_PER_MESSAGE + walk.media * TOKENS_PER_MEDIUM;
    return {
      stream,
      includeUsage: isObject(streamOptions) && streamOptions.include_usage === true,
      needs: {
        tools: hasTools,
        imageInput: walk.hasImage,
        audioInput: walk.hasAudio,
        jsonSchema: isObject(format) && format.type === 'json_schema',
        logprobs: body.logprobs === true,
        choices,
        tokenArrays: false,
      },
      inputTokensEstimate: estimateTokens(walk.textBytes) + others,
      // A prompt that may just fit is the provider's to judge: some tokenizers need few tokens for scripts of many bytes.
      contextTokens: estimateTokens(walk.textChars) + others,
      inputTokensMax: raw.length - walk.mediaChars + messages * TOKENS_PER_MESSAGE + walk.media * TOKENS_PER_MEDIUM_MAX,
      outputTokensMax: outputTokensMax === undefined ? undefined : outputTokensMax * choices,
    };
  },
};

function outputLimit(body: Record<string, unknown>): number | undefined {
  const older = optionalInteger(body, 'max_tokens', 1, Number.MAX_SAFE_INTEGER);
  const newer = optionalInteger(body, 'max_completion_tokens', 1, Number.MAX_SAFE_INTEGER);
  // Servers differ in which of them they heed.
  return newer === undefined || older === undefined ? (newer ?? older) : Math.max(newer, older);
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

function checkOthers(body: Record<string, unknown>): void {
  const { seed, tool_choice: toolChoice } = body;
  if (seed !== undefined && seed !== null && !Number.isInteger(seed)) throw invalid('seed', "'seed' must be an integer.");
  for (const name of TEXTS) optionalString(body, name);
  optionalObject(body, 'metadata');
  const bias = optionalObject(body, 'logit_bias');
  for (const token in bias) optionalNumber(bias, token, -100, 100, `logit_bias.${token}`.slice(0, 64));
  if (toolChoice === undefined || toolChoice === null || TOOL_CHOICES.has(toolChoice)) return;
  if (!isObject(toolChoice)) throw invalid('tool_choice', "'tool_choice' must be none, auto, required, or an object that names a tool.");
  requiredString(toolChoice, 'type', 'tool_choice.type');
}

function checkTools(body: Record<string, unknown>, walk: Walk): boolean {
  const tools = body.tools ?? body.functions;
  if (tools === undefined || tools === null) return false;
  const param = body.tools === undefined || body.tools === null ? 'functions' : 'tools';
  if (!Array.isArray(tools)) throw invalid(param, `'${param}' must be an array.`);
  for (let i = 0; i < tools.length; i++) {
    const tool: unknown = tools[i];
    if (!isObject(tool)) throw invalid(`${param}[${i}]`, `'${param}[${i}]' must be an object.`);
    if (param === 'functions') requiredString(tool, 'name', `functions[${i}].name`);
    else checkTool(tool, `tools[${i}]`);
  }
  if (tools.length === 0) return false;
  // Tool schemas are input tokens too; their length as JSON is close enough and cheap next to the call.
  countRest(tools, walk);
  return true;
}

/** Kinds beside functions are the provider's affair. */
function checkTool(tool: Record<string, unknown>, at: string): void {
  if (requiredString(tool, 'type', `${at}.type`) !== 'function') return;
  const { function: fn } = tool;
  if (!isObject(fn)) throw missing(`${at}.function`);
  requiredString(fn, 'name', `${at}.function.name`);
  if (fn.parameters !== undefined && fn.parameters !== null && !isObject(fn.parameters)) {
    throw invalid(`${at}.function.parameters`, `'${at}.function.parameters' must be a JSON Schema object.`);
  }
}
