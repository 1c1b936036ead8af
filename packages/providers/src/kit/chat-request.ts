import { invalid, readConversation, type Conversation, type MessageSupport } from './chat-messages.js';
import { unsupportedParameter } from './errors.js';
import { isRecord } from './safe-json.js';

/**
 * OpenAI's chat request, read once for providers that speak another wire. A provider lists the optional fields that it
 * can serve; any other field that would change the answer is refused by name, so that nothing is dropped in silence.
 */
export interface ChatTool {
  name: string;
  description?: string;
  /** JSON Schema of the arguments; absent for a tool without arguments. */
  parameters?: Record<string, unknown>;
  strict?: boolean;
  cacheControl?: unknown;
}

export type ToolChoice = 'auto' | 'none' | 'required' | { name: string };

export type ResponseFormat =
  { type: 'json_object' } | { type: 'json_schema'; name?: string; description?: string; schema: Record<string, unknown>; strict?: boolean };

export interface ChatRequest extends Conversation {
  tools: ChatTool[];
  toolChoice?: ToolChoice;
  parallelToolCalls?: boolean;
  /** What the client asked for, under the gateway's ceiling; absent when neither said anything. */
  maxTokens?: number;
  /** Which of its two names the client used, for errors. */
  maxTokensParam: string;
  temperature?: number;
  topP?: number;
  topK?: number;
  stop?: string[];
  seed?: number;
  n: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  logprobs: boolean;
  topLogprobs?: number;
  responseFormat?: ResponseFormat;
  reasoningEffort?: string;
  user?: string;
  metadata?: Record<string, string>;
  serviceTier?: string;
  /** Fields of the provider's own that pass through unchanged. */
  extensions: Record<string, unknown>;
}

/** Optional fields a provider may declare; the rest of the request is served by all of them. */
export type OptionalChatField =
  | 'top_k'
  | 'seed'
  | 'n'
  | 'presence_penalty'
  | 'frequency_penalty'
  | 'logprobs'
  | 'json_object'
  | 'json_schema'
  | 'reasoning_effort'
  | 'user'
  | 'metadata'
  | 'service_tier'
  | 'parallel_tool_calls';

export interface ChatSupport extends MessageSupport {
  fields: ReadonlySet<OptionalChatField>;
  /** Names of the provider's own fields. */
  extensions?: ReadonlySet<string>;
}

type Json = Readonly<Record<string, unknown>>;

/** Fields that every provider serves, or that concern the gateway alone. */
const ALWAYS = new Set([
  'model', 'messages', 'stream', 'stream_options', 'max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'stop',
  'tools', 'tool_choice',
]); // prettier-ignore

/** Values that ask for what happens anyway; SDKs and frameworks send many of them on every call. */
const NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  logprobs: (value) => value === false,
  top_logprobs: (value) => value === 0,
  presence_penalty: (value) => value === 0,
  frequency_penalty: (value) => value === 0,
  logit_bias: (value) => isRecord(value) && Object.keys(value).length === 0,
  store: (value) => value === false,
  service_tier: (value) => value === 'auto',
  parallel_tool_calls: (value) => value === true,
  response_format: (value) => isRecord(value) && value.type === 'text',
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  metadata: (value) => isRecord(value) && Object.keys(value).length === 0,
  verbosity: (value) => value === 'medium',
};

/** Names under which a field is declared, where they differ from the field's own. */
const DECLARED_AS: Readonly<Record<string, OptionalChatField>> = { top_logprobs: 'logprobs', safety_identifier: 'user' };

/** `ceiling`: the gateway's own bound for the output, in tokens. */
export function readChatRequest(json: Json, support: ChatSupport, ceiling?: number): ChatRequest {
  const tools = readTools(json.tools, support);
  refuseOthers(json, support, tools.length > 0);
  const maxTokensParam = json.max_completion_tokens === undefined || json.max_completion_tokens === null ? 'max_tokens' : 'max_completion_tokens';
  const asked = integer(json, maxTokensParam, 1);
  return {
    ...readConversation(json.messages, support),
    tools,
    toolChoice: readToolChoice(json.tool_choice, tools),
    parallelToolCalls: boolean(json, 'parallel_tool_calls'),
    maxTokens: ceiling === undefined ? asked : Math.min(asked ?? ceiling, ceiling),
    maxTokensParam,
    temperature: number(json, 'temperature'),
    topP: number(json, 'top_p'),
    topK: integer(json, 'top_k', 1),
    stop: readStop(json.stop),
    seed: integer(json, 'seed'),
    n: integer(json, 'n', 1) ?? 1,
    presencePenalty: number(json, 'presence_penalty'),
    frequencyPenalty: number(json, 'frequency_penalty'),
    logprobs: boolean(json, 'logprobs') ?? false,
    topLogprobs: integer(json, 'top_logprobs', 0),
    responseFormat: readResponseFormat(json.response_format, support),
    reasoningEffort: text(json, 'reasoning_effort'),
    user: text(json, 'safety_identifier') ?? text(json, 'user'),
    metadata: readMetadata(json.metadata),
    serviceTier: text(json, 'service_tier'),
    extensions: readExtensions(json, support),
  };
}

/**
 * How many calls an answer may have, where the provider itself has no such switch: with `parallel_tool_calls: false` the calls after
 * the first are left out. The model makes them in the next turn, when it has the first one's result.
 */
export function toolCallsMaxOf(request: Pick<ChatRequest, 'parallelToolCalls'>): number | undefined {
  return request.parallelToolCalls === false ? 1 : undefined;
}

function refuseOthers(json: Json, support: ChatSupport, hasTools: boolean): void {
  for (const key of Object.keys(json)) {
    const value = json[key];
    if (ALWAYS.has(key) || value === undefined || value === null) continue;
    if (support.extensions?.has(key) || support.fields.has(DECLARED_AS[key] ?? (key as OptionalChatField))) continue;
    if (NEUTRAL[key]?.(value)) continue;
    // Answered by readResponseFormat, which knows the kinds; without tools there are no calls that could run in parallel.
    if (key === 'response_format' || (key === 'parallel_tool_calls' && !hasTools)) continue;
    throw unsupportedParameter(key);
  }
  const options = json.stream_options;
  if (isRecord(options) && options.include_obfuscation === true) throw unsupportedParameter('stream_options.include_obfuscation');
}

function readTools(value: unknown, support: ChatSupport): ChatTool[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid('tools');
  return value.map((tool: unknown, index) => {
    const path = `tools[${index}]`;
    if (!isRecord(tool)) throw invalid(path);
    if (tool.type !== 'function') throw unsupportedParameter(`${path}.type`);
    const definition = tool.function;
    if (!isRecord(definition) || typeof definition.name !== 'string' || definition.name === '') throw invalid(`${path}.function.name`);
    const { parameters } = definition;
    if (parameters !== undefined && parameters !== null && !isRecord(parameters)) throw invalid(`${path}.function.parameters`);
    const cacheControl = tool.cache_control ?? definition.cache_control ?? undefined;
    if (cacheControl !== undefined && !support.cacheControl) throw unsupportedParameter(`${path}.cache_control`);
    return {
      name: definition.name,
      description: typeof definition.description === 'string' ? definition.description : undefined,
      parameters: parameters ?? undefined,
      strict: typeof definition.strict === 'boolean' ? definition.strict : undefined,
      cacheControl,
    };
  });
}

function readToolChoice(value: unknown, tools: readonly ChatTool[]): ToolChoice | undefined {
  if (value === undefined || value === null) return undefined;
  if (tools.length === 0) {
    if (value === 'none' || value === 'auto') return undefined;
    throw invalid('tool_choice', 'without tools');
  }
  if (value === 'auto' || value === 'none' || value === 'required') return value;
  if (!isRecord(value)) throw invalid('tool_choice');
  if (value.type !== 'function') throw unsupportedParameter('tool_choice');
  const name = isRecord(value.function) ? value.function.name : undefined;
  if (typeof name !== 'string' || !tools.some((tool) => tool.name === name)) throw invalid('tool_choice.function.name');
  return { name };
}

function readResponseFormat(value: unknown, support: ChatSupport): ResponseFormat | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value)) throw invalid('response_format');
  if (value.type === 'text') return undefined;
  if (value.type === 'json_object' && support.fields.has('json_object')) return { type: 'json_object' };
  if (value.type !== 'json_schema' || !support.fields.has('json_schema')) throw unsupportedParameter('response_format');
  const spec = value.json_schema;
  if (!isRecord(spec) || !isRecord(spec.schema)) throw invalid('response_format.json_schema');
  return {
    type: 'json_schema',
    name: typeof spec.name === 'string' ? spec.name : undefined,
    description: typeof spec.description === 'string' ? spec.description : undefined,
    schema: spec.schema,
    strict: typeof spec.strict === 'boolean' ? spec.strict : undefined,
  };
}

function readStop(value: unknown): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every((item): item is string => typeof item === 'string' && item !== '')) throw invalid('stop');
  return list.length === 0 ? undefined : list;
}

function readMetadata(value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value) || !Object.values(value).every((item) => typeof item === 'string')) throw invalid('metadata');
  return Object.keys(value).length === 0 ? undefined : (value as Record<string, string>);
}

function readExtensions(json: Json, support: ChatSupport): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const name of support.extensions ?? []) if (json[name] !== undefined && json[name] !== null) found[name] = json[name];
  return found;
}

function number(json: Json, field: string): number | undefined {
  const value = json[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(field);
  return value;
}

function integer(json: Json, field: string, min?: number): number | undefined {
  const value = number(json, field);
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || (min !== undefined && value < min)) throw invalid(field);
  return value;
}

function boolean(json: Json, field: string): boolean | undefined {
  const value = json[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw invalid(field);
  return value;
}

function text(json: Json, field: string): string | undefined {
  const value = json[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid(field);
  return value;
}
