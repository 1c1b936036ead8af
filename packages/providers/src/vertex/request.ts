import { invalid, type AssistantTurn, type ChatPart, type ToolResult, type UserTurn } from '../kit/chat-messages.js';
import { readChatRequest, type ChatRequest, type ChatSupport, type ChatTool } from '../kit/chat-request.js';
import { unsupportedParameter } from '../kit/errors.js';
import { isRecord, tryParseJson } from '../kit/safe-json.js';
import type { ProviderCall } from '../spec/provider.js';

type Json = Record<string, unknown>;

const GEMINI: ChatSupport = {
  image: true,
  file: true,
  audio: true,
  cacheControl: false,
  fields: new Set([
    'top_k', 'seed', 'n', 'presence_penalty', 'frequency_penalty', 'logprobs', 'json_object', 'json_schema', 'reasoning_effort', 'metadata',
    'parallel_tool_calls',
  ]), // prettier-ignore
};

/** Gemini 3 checks that calls in the history carry its signature; this documented word stands for a call that it did not make. */
const FOREIGN_SIGNATURE = 'skip_thought_signature_validator';

export function readGeminiRequest(call: ProviderCall): ChatRequest {
  return readChatRequest(call.json, GEMINI, call.maxOutputTokens);
}

/** Translates a chat request into a generateContent body. Throws ProviderErrors that name the field. */
export function toGenerateContent(request: ChatRequest, model: string): Json {
  const names = new Map<string, string>();
  const contents = request.turns.map((turn) => toContent(turn, names, generationOf(model) >= 3));
  const generationConfig = generationConfigOf(request, model);
  return {
    contents,
    ...(request.system.length === 0 ? {} : { systemInstruction: { parts: request.system.map(({ text }) => ({ text })) } }),
    ...(request.tools.length === 0 ? {} : { tools: [{ functionDeclarations: request.tools.map(toDeclaration) }] }),
    ...toolConfigOf(request),
    ...(Object.keys(generationConfig).length === 0 ? {} : { generationConfig }),
    ...(request.metadata === undefined ? {} : { labels: request.metadata }),
  };
}

/** 2 for gemini-2.5-flash, 3 for gemini-3-pro-preview; 0 where the id does not tell. */
function generationOf(model: string): number {
  return Number(/gemini-(\d+)/.exec(model)?.[1] ?? 0);
}

function toContent(turn: UserTurn | AssistantTurn, names: Map<string, string>, signs: boolean): Json {
  if (turn.role === 'assistant') return modelContent(turn, names, signs);
  const parts = turn.results.map((result) => functionResponse(result, names));
  for (const part of turn.parts) parts.push(toPart(part));
  return { role: 'user', parts };
}

function modelContent(turn: AssistantTurn, names: Map<string, string>, signs: boolean): Json {
  const parts: Json[] = turn.parts.map(({ text }) => ({ text }));
  for (const [index, call] of turn.toolCalls.entries()) {
    names.set(call.id, call.name);
    // Only the first call of a turn is signed; the others were made under the same thought.
    const signature = call.signature ?? (signs && index === 0 ? FOREIGN_SIGNATURE : undefined);
    parts.push({ functionCall: { name: call.name, args: call.input }, ...(signature === undefined ? {} : { thoughtSignature: signature }) });
  }
  return { role: 'model', parts };
}

/** Gemini pairs results by the function's name, OpenAI by the call's id: the history knows both. */
function functionResponse(result: ToolResult, names: ReadonlyMap<string, string>): Json {
  const name = names.get(result.toolCallId);
  if (name === undefined) throw invalid('messages', 'a tool result without its call');
  let text = '';
  for (const part of result.parts) {
    if (part.type !== 'text') throw unsupportedParameter(part.path);
    text += part.text;
  }
  const parsed = tryParseJson(text);
  return { functionResponse: { name, response: isRecord(parsed) ? parsed : { output: text } } };
}

function toPart(part: ChatPart): Json {
  if (part.type === 'text') return { text: part.text };
  const { source } = part;
  if (source.kind === 'data') return { inlineData: { mimeType: source.mediaType === 'image/jpg' ? 'image/jpeg' : source.mediaType, data: source.data } };
  return { fileData: { fileUri: source.url, mimeType: mediaTypeOf(source.url, part.type) } };
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  pdf: 'application/pdf',
};

/** Vertex wants the type of a file it fetches; OpenAI's part does not tell it, so the ending of the path does. */
function mediaTypeOf(url: string, kind: string): string {
  const ending = /\.([a-z0-9]+)(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? '';
  return MEDIA_TYPES[ending] ?? (kind === 'image' ? 'image/jpeg' : 'application/pdf');
}

function toDeclaration(tool: ChatTool): Json {
  return {
    name: tool.name,
    ...(tool.description === undefined ? {} : { description: tool.description }),
    ...(tool.parameters === undefined ? {} : { parametersJsonSchema: tool.parameters }),
  };
}

function toolConfigOf(request: ChatRequest): Json {
  const { toolChoice } = request;
  if (request.tools.length === 0) return {};
  const strict = request.tools.some((tool) => tool.strict === true);
  if (toolChoice === undefined || toolChoice === 'auto') {
    if (!strict && toolChoice === undefined) return {};
    return { toolConfig: { functionCallingConfig: { mode: strict ? 'VALIDATED' : 'AUTO' } } };
  }
  if (toolChoice === 'none') return { toolConfig: { functionCallingConfig: { mode: 'NONE' } } };
  const allowed = isRecord(toolChoice) ? { allowedFunctionNames: [toolChoice.name] } : {};
  return { toolConfig: { functionCallingConfig: { mode: 'ANY', ...allowed } } };
}

function generationConfigOf(request: ChatRequest, model: string): Json {
  const config: Json = {
    temperature: request.temperature,
    topP: request.topP,
    topK: request.topK,
    maxOutputTokens: request.maxTokens,
    stopSequences: request.stop,
    candidateCount: request.n > 1 ? request.n : undefined,
    seed: request.seed,
    presencePenalty: request.presencePenalty,
    frequencyPenalty: request.frequencyPenalty,
    responseLogprobs: request.logprobs ? true : undefined,
    logprobs: request.logprobs && request.topLogprobs ? request.topLogprobs : undefined,
    thinkingConfig: thinkingConfigOf(request.reasoningEffort, model),
  };
  if (request.responseFormat !== undefined) config.responseMimeType = 'application/json';
  if (request.responseFormat?.type === 'json_schema') config.responseJsonSchema = request.responseFormat.schema;
  for (const key of Object.keys(config)) if (config[key] === undefined) delete config[key];
  return config;
}

/** Thinking tokens per effort for the models that take a budget, as Google's own OpenAI front has them. */
const BUDGETS: Readonly<Record<string, number>> = { none: 0, minimal: 1024, low: 1024, medium: 8192, high: 24_576 };
const LEVELS: ReadonlySet<string> = new Set(['minimal', 'low', 'medium', 'high']);

function thinkingConfigOf(effort: string | undefined, model: string): Json | undefined {
  if (effort === undefined) return undefined;
  if (generationOf(model) >= 3) {
    if (!LEVELS.has(effort)) throw unsupportedParameter('reasoning_effort');
    return { thinkingLevel: effort, includeThoughts: true };
  }
  const thinkingBudget = BUDGETS[effort];
  if (thinkingBudget === undefined) throw unsupportedParameter('reasoning_effort');
  return { thinkingBudget, includeThoughts: thinkingBudget > 0 };
}
