import { createHash } from 'node:crypto';
import type { Fault } from './faults.js';
import { sampleJson } from './json-sample.js';
import { countTokens, splitTokens, TOKENS_PER_IMAGE, TOKENS_PER_MESSAGE } from './tokens.js';
import type { ChatMessage, ChatRequest, ChatUsage, ToolCall, ToolDefinition } from './wire.js';

/** One choice of an answer, ready to be sent whole or token by token. */
export interface Reply {
  /** The text's tokens; empty for a tool turn. */
  tokens: string[];
  toolCalls: ToolCall[];
  finishReason: 'stop' | 'length' | 'tool_calls';
  completionTokens: number;
}

/** All that is known about an answer before its first byte. */
export interface Answer {
  id: string;
  /** Unix seconds. */
  created: number;
  model: string;
  promptTokens: number;
  /** One per choice. */
  replies: Reply[];
  fault: Fault;
}

function textOf(message: ChatMessage): string {
  if (typeof message.content === 'string') return message.content;
  return (message.content ?? []).flatMap((part) => part.text ?? []).join(' ');
}

function imagesIn(message: ChatMessage): number {
  return Array.isArray(message.content) ? message.content.filter((part) => part.type === 'image_url').length : 0;
}

export function countPromptTokens(request: ChatRequest): number {
  const messages = request.messages.reduce((sum, message) => {
    const calls = message.tool_calls === undefined ? 0 : countTokens(JSON.stringify(message.tool_calls));
    return sum + TOKENS_PER_MESSAGE + countTokens(textOf(message)) + calls + imagesIn(message) * TOKENS_PER_IMAGE;
  }, 0);
  return messages + (request.tools === undefined ? 0 : countTokens(JSON.stringify(request.tools)));
}

function lastUserText(request: ChatRequest): string {
  const message = request.messages.findLast((candidate) => candidate.role === 'user');
  return message === undefined ? '' : textOf(message).trim();
}

/** Tools that the conversation asks for: forced by `tool_choice`, or named in the last user message. */
function wantedTools(request: ChatRequest): ToolDefinition[] {
  const tools = (request.tools ?? []).filter((tool) => tool.function !== undefined);
  const choice = request.tool_choice ?? 'auto';
  // After a tool's result comes the answer, not the next call.
  if (tools.length === 0 || choice === 'none' || request.messages.at(-1)?.role === 'tool') return [];
  if (typeof choice === 'object') return tools.filter((tool) => tool.function!.name === choice.function?.name).slice(0, 1);
  const text = lastUserText(request).toLowerCase();
  const named = tools.filter((tool) => text.includes(tool.function!.name.toLowerCase()));
  const everything = /\b(all|both|parallel)\b.*\btools?\b|\btools?\b.*\bparallel\b/.test(text);
  const single = /\b(call|use)\b.*\b(tool|function)\b/.test(text) || choice === 'required' ? tools.slice(0, 1) : [];
  const wanted = everything ? tools : named.length > 0 ? named : single;
  return request.parallel_tool_calls === false ? wanted.slice(0, 1) : wanted;
}

function callOf(tool: ToolDefinition, index: number, hint: string, seed: string): ToolCall {
  const schema = tool.function!.parameters ?? { type: 'object' };
  const id = createHash('sha256').update(`${seed}:${index}`).digest('hex').slice(0, 24);
  return { id: `call_${id}`, type: 'function', function: { name: tool.function!.name, arguments: JSON.stringify(sampleJson(schema, schema, hint)) } };
}

function answerText(request: ChatRequest): string {
  const prompt = lastUserText(request);
  const format = request.response_format;
  if (format?.type === 'json_schema') return JSON.stringify(sampleJson(format.json_schema?.schema ?? {}, format.json_schema?.schema ?? {}, prompt));
  if (format?.type === 'json_object') return JSON.stringify({ answer: prompt });
  const last = request.messages.at(-1);
  if (last?.role === 'tool') return `The tool answered: ${textOf(last).slice(0, 400)}`;
  const images = request.messages.reduce((sum, message) => sum + imagesIn(message), 0);
  const seen = images === 0 ? '' : ` I see ${images} image${images === 1 ? '' : 's'}.`;
  return `Hello from the demo provider! You wrote: "${prompt.slice(0, 400)}".${seen} I am no language model, but my tokens, my timing and my bill are real enough to try the gateway with.`;
}

function applyStop(text: string, stop: ChatRequest['stop']): string {
  const marks = stop === null || stop === undefined ? [] : [stop].flat().filter((mark) => mark !== '');
  const positions = marks.map((mark) => text.indexOf(mark)).filter((position) => position >= 0);
  return positions.length === 0 ? text : text.slice(0, Math.min(...positions));
}

/** The answer to a request; the same request always gets the same one. */
export function makeReply(request: ChatRequest, choiceIndex: number, seed: string): Reply {
  const hint = lastUserText(request);
  const tools = wantedTools(request);
  if (tools.length > 0) {
    const toolCalls = tools.map((tool, index) => callOf(tool, index, hint, `${seed}:${choiceIndex}`));
    const completionTokens = toolCalls.reduce((sum, call) => sum + countTokens(call.function.name) + countTokens(call.function.arguments), 0);
    return { tokens: [], toolCalls, finishReason: 'tool_calls', completionTokens };
  }
  const all = splitTokens(applyStop(answerText(request), request.stop));
  const limit = request.max_completion_tokens ?? request.max_tokens ?? Infinity;
  const tokens = all.slice(0, limit);
  return { tokens, toolCalls: [], finishReason: tokens.length < all.length ? 'length' : 'stop', completionTokens: tokens.length };
}

export function logprobsOf(tokens: readonly string[]): unknown {
  const content = tokens.map((token) => ({ token, logprob: -0.01, bytes: [...Buffer.from(token)], top_logprobs: [] }));
  return { content, refusal: null };
}

export function usageOf(promptTokens: number, completionTokens: number): ChatUsage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  };
}
