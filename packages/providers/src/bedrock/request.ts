import type {
  ContentBlock,
  ConverseRequest,
  Message,
  ServiceTierType,
  SystemContentBlock,
  Tool,
  ToolConfiguration,
  ToolResultBlock,
  ToolResultContentBlock,
} from '@aws-sdk/client-bedrock-runtime';
import type { AssistantTurn, ChatPart, MediaPart, UserTurn } from '../kit/chat-messages.js';
import { invalid, plainToolId } from '../kit/chat-messages.js';
import { readChatRequest, type ChatRequest, type ChatSupport } from '../kit/chat-request.js';
import { unsupportedParameter } from '../kit/errors.js';
import { isRecord } from '../kit/safe-json.js';
import type { ProviderCall, ProviderRoute } from '../spec/provider.js';
import { defaultMaxTokensOf } from './settings.js';

/** The Converse API: one shape for the chat models of every vendor on Bedrock. */
const CONVERSE: ChatSupport = {
  image: true,
  file: true,
  audio: false,
  cacheControl: true,
  fields: new Set(['json_schema', 'reasoning_effort', 'user', 'metadata', 'service_tier', 'parallel_tool_calls']),
};

export function readConverseRequest(call: ProviderCall): ChatRequest {
  return readChatRequest(call.json, CONVERSE, call.maxOutputTokens);
}

export function toConverse(request: ChatRequest, route: ProviderRoute): ConverseRequest {
  const tier = serviceTierOf(request);
  const reasoning = reasoningOf(request, route.providerModel);
  const format = request.responseFormat;
  const outputConfig = {
    ...reasoning.output,
    ...(format?.type === 'json_schema'
      ? {
          textFormat: {
            type: 'json_schema' as const,
            structure: { jsonSchema: { schema: JSON.stringify(format.schema), name: format.name, description: format.description } },
          },
        }
      : {}),
  };
  return {
    modelId: route.providerModel,
    messages: request.turns.map(toMessage),
    ...(request.system.length === 0
      ? {}
      : { system: request.system.flatMap((part) => withCachePoint<SystemContentBlock>({ text: part.text }, part.cacheControl)) }),
    inferenceConfig: {
      maxTokens: request.maxTokens ?? defaultMaxTokensOf(route),
      ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
      ...(request.topP === undefined ? {} : { topP: request.topP }),
      ...(request.stop === undefined ? {} : { stopSequences: request.stop }),
    },
    ...toolConfigOf(request),
    ...(Object.keys(outputConfig).length === 0 ? {} : { outputConfig }),
    ...(reasoning.additional === undefined ? {} : { additionalModelRequestFields: reasoning.additional }),
    ...(tier === undefined ? {} : { serviceTier: { type: tier } }),
    ...(requestMetadataOf(request) === undefined ? {} : { requestMetadata: requestMetadataOf(request) }),
  };
}

/** OpenAI's `metadata` and `user` are notes on a call; Bedrock keeps such notes with its invocation logs. */
export function requestMetadataOf(request: ChatRequest): Record<string, string> | undefined {
  if (request.metadata === undefined && request.user === undefined) return undefined;
  return { ...request.metadata, ...(request.user === undefined ? {} : { user: request.user }) };
}

const TIERS: Readonly<Record<string, ServiceTierType>> = { default: 'default', flex: 'flex', priority: 'priority' };

export function serviceTierOf(request: ChatRequest): ServiceTierType | undefined {
  if (request.serviceTier === undefined || request.serviceTier === 'auto') return undefined;
  const tier = TIERS[request.serviceTier];
  if (tier === undefined) throw unsupportedParameter('service_tier');
  return tier;
}

/** Each vendor takes the effort in a place of its own; models without one answer with a validation error. */
function reasoningOf(request: ChatRequest, model: string): { output?: { effort: string }; additional?: Record<string, string | Record<string, string>> } {
  const effort = request.reasoningEffort;
  if (effort === undefined) return {};
  if (model.includes('nova-2')) {
    if (effort === 'none') return { additional: { reasoningConfig: { type: 'disabled' } } };
    if (!['low', 'medium', 'high'].includes(effort)) throw unsupportedParameter('reasoning_effort');
    return { additional: { reasoningConfig: { type: 'enabled', maxReasoningEffort: effort } } };
  }
  if (effort === 'none') throw unsupportedParameter('reasoning_effort');
  if (model.includes('openai.')) return { additional: { reasoning_effort: effort } };
  return { output: { effort } };
}

function toolConfigOf(request: ChatRequest): { toolConfig?: ToolConfiguration } {
  const isInHistory = request.turns.some(usesTools);
  if (request.tools.length === 0) {
    if (isInHistory) throw invalid('tools', 'Converse wants the tools declared that the history uses');
    return {};
  }
  if (request.toolChoice === 'none') {
    // Converse has no "none". Without tools in the history leaving them out says the same; with them it would be refused.
    if (isInHistory) throw unsupportedParameter('tool_choice');
    return {};
  }
  const tools = request.tools.flatMap((tool) => {
    const json = (tool.parameters ?? { type: 'object', properties: {} }) as Record<string, never>;
    const spec = { name: tool.name, ...(tool.description ? { description: tool.description } : {}), inputSchema: { json } };
    return withCachePoint<Tool>({ toolSpec: tool.strict === true ? { ...spec, strict: true } : spec }, tool.cacheControl);
  });
  const { toolChoice } = request;
  if (toolChoice === undefined) return { toolConfig: { tools } };
  if (isRecord(toolChoice)) return { toolConfig: { tools, toolChoice: { tool: { name: toolChoice.name } } } };
  return { toolConfig: { tools, toolChoice: toolChoice === 'required' ? { any: {} } : { auto: {} } } };
}

function usesTools(turn: UserTurn | AssistantTurn): boolean {
  return turn.role === 'user' ? turn.results.length > 0 : turn.toolCalls.length > 0;
}

function toMessage(turn: UserTurn | AssistantTurn): Message {
  if (turn.role === 'assistant') {
    const content: ContentBlock[] = turn.thinking.map(reasoningBlock);
    for (const part of turn.parts) content.push(...withCachePoint<ContentBlock>({ text: part.text }, part.cacheControl));
    for (const call of turn.toolCalls)
      content.push({ toolUse: { toolUseId: plainToolId(call.id), name: call.name, input: call.input as Record<string, never> } });
    return { role: 'assistant', content };
  }
  const content = turn.results.flatMap((result) => withCachePoint<ContentBlock>({ toolResult: toolResult(result) }, result.cacheControl));
  for (const part of turn.parts) content.push(...withCachePoint(block(part), part.cacheControl));
  return { role: 'user', content };
}

function toolResult(result: UserTurn['results'][number]): ToolResultBlock {
  return { toolUseId: plainToolId(result.toolCallId), content: result.parts.map((part) => block(part) as ToolResultContentBlock) };
}

function reasoningBlock(value: Record<string, unknown>): ContentBlock {
  if (value.type === 'redacted_thinking' && typeof value.data === 'string') {
    return { reasoningContent: { redactedContent: Buffer.from(value.data, 'base64') } };
  }
  if (value.type !== 'thinking' || typeof value.thinking !== 'string') throw invalid('messages', 'a thinking block of an unknown kind');
  const signature = typeof value.signature === 'string' ? { signature: value.signature } : {};
  return { reasoningContent: { reasoningText: { text: value.thinking, ...signature } } };
}

function block(part: ChatPart): ContentBlock {
  if (part.type === 'text') return { text: part.text };
  // Converse takes bytes alone, and the gateway does not fetch what a client names.
  if (part.source.kind === 'url') throw unsupportedParameter(part.path);
  const bytes = Buffer.from(part.source.data, 'base64');
  if (part.type === 'image') return { image: { format: imageFormat(part, part.source.mediaType), source: { bytes } } };
  return { document: { format: documentFormat(part, part.source.mediaType), name: documentName(part), source: { bytes } } };
}

const IMAGE_FORMATS = { 'image/png': 'png', 'image/jpeg': 'jpeg', 'image/jpg': 'jpeg', 'image/gif': 'gif', 'image/webp': 'webp' } as const;

function imageFormat(part: MediaPart, mediaType: string): (typeof IMAGE_FORMATS)[keyof typeof IMAGE_FORMATS] {
  const format = IMAGE_FORMATS[mediaType as keyof typeof IMAGE_FORMATS];
  if (format === undefined) throw unsupportedParameter(part.path);
  return format;
}

const DOCUMENT_FORMATS = {
  'application/pdf': 'pdf',
  'text/csv': 'csv',
  'text/html': 'html',
  'text/plain': 'txt',
  'text/markdown': 'md',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
} as const;

function documentFormat(part: MediaPart, mediaType: string): (typeof DOCUMENT_FORMATS)[keyof typeof DOCUMENT_FORMATS] {
  const format = DOCUMENT_FORMATS[mediaType as keyof typeof DOCUMENT_FORMATS];
  if (format === undefined) throw unsupportedParameter(part.path);
  return format;
}

/** Converse takes letters, digits, single spaces, hyphens and brackets in a name. */
function documentName(part: MediaPart): string {
  const name = (part.name ?? '')
    .replace(/\.[a-z0-9]+$/i, '')
    .replace(/[^a-z0-9\-()[\] ]+/gi, '-')
    .replace(/\s+/g, ' ')
    .trim();
  return name.slice(0, 200) || 'document';
}

/** A cache mark stands after what it covers, as a block of its own. */
function withCachePoint<T extends object>(item: T, cacheControl: unknown): T[] {
  if (!isRecord(cacheControl)) return [item];
  const ttl = cacheControl.ttl === '5m' || cacheControl.ttl === '1h' ? { ttl: cacheControl.ttl } : {};
  return [item, { cachePoint: { type: 'default', ...ttl } } as unknown as T];
}
