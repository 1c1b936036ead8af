import type {
  ContentBlockParam,
  MessageCreateParamsBase,
  MessageParam,
  TextBlockParam,
  ToolResultBlockParam,
  ToolUnion,
} from '@anthropic-ai/sdk/resources/messages';
import type { AssistantTurn, ChatPart, MediaPart, TextPart, ToolResult, UserTurn } from '../kit/chat-messages.js';
import { invalid, plainToolId } from '../kit/chat-messages.js';
import type { ChatRequest, ChatSupport, ChatTool, OptionalChatField, ToolChoice } from '../kit/chat-request.js';
import { readChatRequest } from '../kit/chat-request.js';
import { unsupportedParameter } from '../kit/errors.js';
import { isRecord } from '../kit/safe-json.js';
import { thinkingOf } from './thinking.js';

/** A Messages body without the model, which each transport carries in its own place. */
export type MessagesBody = Omit<MessageCreateParamsBase, 'model'> & { temperature?: number; top_p?: number; top_k?: number };

export interface MessagesOptions {
  /** The model's id, for what differs between generations. */
  model: string;
  /** The model's most output tokens; 0 when unknown. */
  maxOutputTokens: number;
  /** `max_tokens` when neither the client nor the catalog says one. */
  defaultMaxTokens: number;
  /** Whether the service fetches https images and documents itself. */
  urlSources: boolean;
  /** Whether the service takes `metadata.user_id` and `service_tier`. */
  nativeApi: boolean;
}

const COMMON: readonly OptionalChatField[] = ['top_k', 'json_schema', 'reasoning_effort', 'parallel_tool_calls'];
const EXTENSIONS: ReadonlySet<string> = new Set(['thinking', 'cache_control', 'top_k']);
const PARTS = { image: true, file: true, audio: false, cacheControl: true };
const NATIVE: ChatSupport = { ...PARTS, fields: new Set([...COMMON, 'user', 'service_tier']), extensions: EXTENSIONS };
/** On other clouds request metadata is the cloud's own matter; what they read themselves they take out before. */
const HOSTED: ChatSupport = { ...PARTS, fields: new Set([...COMMON, 'user', 'metadata', 'service_tier']), extensions: EXTENSIONS };

/** Reads the client's request; `hosted` services see user, metadata and tier in the result and serve them their own way. */
export function readMessagesRequest(json: Readonly<Record<string, unknown>>, nativeApi: boolean, ceiling?: number): ChatRequest {
  return readChatRequest(json, nativeApi ? NATIVE : HOSTED, ceiling);
}

/** Translates a chat request into Anthropic's Messages body. Throws ProviderErrors that name the field. */
export function toMessages(request: ChatRequest, options: MessagesOptions): MessagesBody {
  const { thinking, maxTokens, effort } = thinkingOf(request, options);
  if (request.temperature !== undefined && request.temperature > 1) throw unsupportedParameter('temperature');
  if (thinking !== undefined && thinking.type !== 'disabled') {
    if (request.temperature !== undefined && request.temperature !== 1) throw unsupportedParameter('temperature');
    if (request.toolChoice === 'required' || typeof request.toolChoice === 'object') throw unsupportedParameter('tool_choice');
  }
  const body: MessagesBody = { max_tokens: maxTokens, messages: request.turns.map((turn) => toMessage(turn, options)) };
  trimPrefill(body.messages);
  if (request.system.length > 0) body.system = request.system.map(textBlock);
  if (request.tools.length > 0) {
    body.tools = request.tools.map(toTool);
    body.tool_choice = toToolChoice(request.toolChoice, request.parallelToolCalls);
  }
  if (request.temperature !== undefined) body.temperature = request.temperature;
  if (request.topP !== undefined) body.top_p = request.topP;
  if (request.topK !== undefined) body.top_k = request.topK;
  if (request.stop !== undefined) body.stop_sequences = request.stop;
  if (thinking !== undefined) body.thinking = thinking;
  if (request.extensions.cache_control !== undefined) body.cache_control = request.extensions.cache_control as MessagesBody['cache_control'];
  const format = request.responseFormat;
  if (format?.type === 'json_schema' || effort !== undefined) {
    body.output_config = {
      ...(effort === undefined ? {} : { effort }),
      ...(format?.type === 'json_schema' ? { format: { type: 'json_schema', schema: format.schema } } : {}),
    };
  }
  if (options.nativeApi) addNative(body, request);
  return body;
}

function addNative(body: MessagesBody, request: ChatRequest): void {
  if (request.user !== undefined) body.metadata = { user_id: request.user };
  if (request.serviceTier === undefined) return;
  if (request.serviceTier === 'auto') body.service_tier = 'auto';
  else if (request.serviceTier === 'default') body.service_tier = 'standard_only';
  else throw unsupportedParameter('service_tier');
}

function toMessage(turn: UserTurn | AssistantTurn, options: MessagesOptions): MessageParam {
  if (turn.role === 'assistant') return { role: 'assistant', content: assistantBlocks(turn) };
  // Results come first: the API refuses a turn in which anything stands between a call and its result.
  const content: ContentBlockParam[] = turn.results.map((result) => resultBlock(result, options));
  for (const part of turn.parts) content.push(block(part, options));
  return { role: 'user', content };
}

function assistantBlocks(turn: AssistantTurn): ContentBlockParam[] {
  const content = turn.thinking.map(thinkingBlock);
  for (const part of turn.parts) content.push(textBlock(part));
  for (const call of turn.toolCalls) content.push({ type: 'tool_use', id: plainToolId(call.id), name: call.name, input: call.input });
  return content;
}

/** Signed blocks go back unchanged; anything else in their place would break the signature. */
function thinkingBlock(value: Record<string, unknown>): ContentBlockParam {
  const signed = value.type === 'thinking' && typeof value.thinking === 'string' && typeof value.signature === 'string';
  const redacted = value.type === 'redacted_thinking' && typeof value.data === 'string';
  if (!signed && !redacted) throw invalid('messages', 'a thinking block without its signature');
  return value as unknown as ContentBlockParam;
}

function resultBlock(result: ToolResult, options: MessagesOptions): ToolResultBlockParam {
  const content = result.parts.map((part) => block(part, options)) as TextBlockParam[];
  return {
    type: 'tool_result',
    tool_use_id: plainToolId(result.toolCallId),
    ...(content.length === 0 ? {} : { content }),
    ...cacheOf(result),
  };
}

function block(part: ChatPart, options: MessagesOptions): ContentBlockParam {
  if (part.type === 'text') return textBlock(part);
  const { source } = part;
  if (source.kind === 'url' && (!options.urlSources || !source.url.startsWith('https://'))) throw unsupportedParameter(part.path);
  return part.type === 'image' ? imageBlock(part) : documentBlock(part);
}

const IMAGE_TYPES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

function imageBlock(part: MediaPart): ContentBlockParam {
  const { source } = part;
  if (source.kind === 'url') return { type: 'image', source: { type: 'url', url: source.url }, ...cacheOf(part) };
  const mediaType = source.mediaType === 'image/jpg' ? 'image/jpeg' : source.mediaType;
  if (!IMAGE_TYPES.has(mediaType)) throw unsupportedParameter(part.path);
  return { type: 'image', source: { type: 'base64', media_type: mediaType as 'image/png', data: source.data }, ...cacheOf(part) };
}

function documentBlock(part: MediaPart): ContentBlockParam {
  const { source } = part;
  const title = part.name === undefined ? {} : { title: part.name };
  if (source.kind === 'url') return { type: 'document', source: { type: 'url', url: source.url }, ...title, ...cacheOf(part) };
  if (source.mediaType === 'application/pdf') {
    return { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: source.data }, ...title, ...cacheOf(part) };
  }
  if (source.mediaType !== 'text/plain') throw unsupportedParameter(part.path);
  const data = Buffer.from(source.data, 'base64').toString('utf8');
  return { type: 'document', source: { type: 'text', media_type: 'text/plain', data }, ...title, ...cacheOf(part) };
}

function textBlock(part: TextPart): TextBlockParam {
  return { type: 'text', text: part.text, ...cacheOf(part) };
}

function cacheOf(holder: { cacheControl?: unknown }): { cache_control?: TextBlockParam['cache_control'] } {
  return holder.cacheControl === undefined ? {} : { cache_control: holder.cacheControl as TextBlockParam['cache_control'] };
}

function toTool(tool: ChatTool): ToolUnion {
  const schema = tool.parameters ?? { type: 'object', properties: {} };
  return {
    name: tool.name,
    ...(tool.description === undefined ? {} : { description: tool.description }),
    input_schema: (schema.type === undefined ? { type: 'object', ...schema } : schema) as { type: 'object' },
    ...(tool.strict === true ? { strict: true } : {}),
    ...cacheOf(tool),
  };
}

function toToolChoice(choice: ToolChoice | undefined, parallel: boolean | undefined): MessagesBody['tool_choice'] {
  const single = parallel === false ? { disable_parallel_tool_use: true } : {};
  if (choice === 'none') return { type: 'none' };
  if (choice === 'required') return { type: 'any', ...single };
  if (isRecord(choice)) return { type: 'tool', name: choice.name, ...single };
  return choice === 'auto' || parallel === false ? { type: 'auto', ...single } : undefined;
}

/** A last assistant message is a prefill; the API refuses one that ends in white space. */
function trimPrefill(messages: MessageParam[]): void {
  const last = messages.at(-1);
  const tail = last?.role === 'assistant' && Array.isArray(last.content) ? last.content.at(-1) : undefined;
  if (tail?.type === 'text') tail.text = tail.text.trimEnd();
}
