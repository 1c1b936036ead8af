import type { ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { CallRecord } from './call-log.js';
import type { DemoConfig } from './config.js';
import { pause, timeToFirstTokenMs } from './pacing.js';
import { logprobsOf, usageOf, type Answer, type Reply } from './reply.js';
import { countTokens, splitTokens } from './tokens.js';
import type { ChatRequest } from './wire.js';

interface Delta {
  /** Said in this piece, for log probabilities. */
  token?: string;
  delta: Record<string, unknown>;
  tokens: number;
  finishReason?: Reply['finishReason'];
}

/** The pieces of one choice in the order of OpenAI's wire: role first, then content or tool arguments, then the finish reason. */
function* deltasOf(reply: Reply): Generator<Delta> {
  if (reply.toolCalls.length === 0) {
    yield { delta: { role: 'assistant', content: '', refusal: null }, tokens: 0 };
    for (const token of reply.tokens) yield { delta: { content: token }, tokens: 1, token };
  } else {
    yield { delta: { role: 'assistant', content: null }, tokens: 0 };
    for (const [index, call] of reply.toolCalls.entries()) {
      const opening = { index, id: call.id, type: 'function', function: { name: call.function.name, arguments: '' } };
      yield { delta: { tool_calls: [opening] }, tokens: countTokens(call.function.name) };
      for (const piece of splitTokens(call.function.arguments)) yield { delta: { tool_calls: [{ index, function: { arguments: piece } }] }, tokens: 1 };
    }
  }
  yield { delta: {}, tokens: 0, finishReason: reply.finishReason };
}

/** Choices take turns, as they do in real answers with n > 1. */
function* interleave(replies: readonly Reply[]): Generator<Delta & { index: number }> {
  const sources = replies.map((reply, index) => ({ index, deltas: deltasOf(reply) }));
  while (sources.length > 0) {
    for (let position = 0; position < sources.length; position += 1) {
      const source = sources[position]!;
      const next = source.deltas.next();
      if (next.done === true) sources.splice(position--, 1);
      else yield { ...next.value, index: source.index };
    }
  }
}

const CUT_AFTER_TOKENS = 3;

/** Sends the answer as server-sent events, one token per event. A slow reader slows it down; one who leaves ends it. */
export async function streamReplies(response: ServerResponse, answer: Answer, request: ChatRequest, call: CallRecord, config: DemoConfig): Promise<void> {
  if (!(await pause(response, timeToFirstTokenMs(config, answer.fault)))) return;
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-request-id': answer.id });
  const includeUsage = request.stream_options?.include_usage === true && answer.fault.kind !== 'nousage';
  const envelope = { id: answer.id, object: 'chat.completion.chunk', created: answer.created, model: answer.model };
  const send = async (fields: Record<string, unknown>): Promise<boolean> => {
    if (response.destroyed) return false;
    const flowing = response.write(`data: ${JSON.stringify({ ...envelope, ...fields })}\n\n`);
    if (!flowing) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    return !response.destroyed;
  };
  for (const { index, delta, finishReason, tokens, token } of interleave(answer.replies)) {
    const logprobs = request.logprobs === true && token !== undefined ? logprobsOf([token]) : null;
    const choice = { index, delta, logprobs, finish_reason: finishReason ?? null };
    if (!(await send({ choices: [choice], ...(includeUsage ? { usage: null } : {}) }))) return;
    call.completion_tokens += tokens;
    if (answer.fault.kind === 'cut' && call.completion_tokens >= CUT_AFTER_TOKENS) {
      call.status = 200;
      // What was written so far shall arrive before the break.
      response.write(': cut\n\n', () => response.destroy());
      return;
    }
    if (tokens > 0 && !(await pause(response, config.tokenMs))) return;
  }
  if (includeUsage) await send({ choices: [], usage: usageOf(answer.promptTokens, call.completion_tokens) });
  call.status = 200;
  response.end('data: [DONE]\n\n');
}
