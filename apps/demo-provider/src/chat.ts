import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { CallLog, CallRecord } from './call-log.js';
import type { DemoConfig } from './config.js';
import { baseModel, errorOf, faultOf } from './faults.js';
import { hang, pause, timeToFirstTokenMs } from './pacing.js';
import { countPromptTokens, logprobsOf, makeReply, usageOf, type Answer } from './reply.js';
import { sendJson } from './send.js';
import { streamReplies } from './chat-stream.js';
import { WireError, type ChatRequest } from './wire.js';

const CHOICES_MAX = 128;
/** A whole answer is faster than its stream read aloud, as with real providers. */
const WHOLE_ANSWER_SPEEDUP = 5;

function validate(request: ChatRequest): void {
  if (typeof request.model !== 'string' || request.model === '') throw new WireError(400, 'you must provide a model parameter', { param: 'model' });
  if (!Array.isArray(request.messages) || request.messages.length === 0) {
    throw new WireError(400, "Invalid 'messages': empty array.", { param: 'messages', code: 'empty_array' });
  }
  if (!baseModel(request.model).startsWith('demo-chat')) {
    throw new WireError(404, `The model \`${request.model}\` does not exist.`, { code: 'model_not_found' });
  }
  const n = request.n ?? 1;
  if (!Number.isInteger(n) || n < 1 || n > CHOICES_MAX) throw new WireError(400, `Invalid 'n': must be between 1 and ${CHOICES_MAX}.`, { param: 'n' });
}

function completionBody(answer: Answer, request: ChatRequest): Record<string, unknown> {
  const completionTokens = answer.replies.reduce((sum, reply) => sum + reply.completionTokens, 0);
  return {
    id: answer.id,
    object: 'chat.completion',
    created: answer.created,
    model: answer.model,
    choices: answer.replies.map((reply, index) => ({
      index,
      message: {
        role: 'assistant',
        content: reply.toolCalls.length > 0 ? null : reply.tokens.join(''),
        refusal: null,
        ...(reply.toolCalls.length > 0 ? { tool_calls: reply.toolCalls } : {}),
      },
      logprobs: request.logprobs === true ? logprobsOf(reply.tokens) : null,
      finish_reason: reply.finishReason,
    })),
    ...(answer.fault.kind === 'nousage' ? {} : { usage: usageOf(answer.promptTokens, completionTokens) }),
  };
}

async function sendWhole(response: ServerResponse, answer: Answer, request: ChatRequest, call: CallRecord, config: DemoConfig): Promise<void> {
  const tokens = answer.replies.reduce((sum, reply) => sum + reply.completionTokens, 0);
  const thinkingMs = timeToFirstTokenMs(config, answer.fault) + (tokens * config.tokenMs) / WHOLE_ANSWER_SPEEDUP;
  if (!(await pause(response, thinkingMs))) return;
  const body = JSON.stringify(completionBody(answer, request));
  if (answer.fault.kind === 'cut') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.write(body.slice(0, body.length / 2), () => response.destroy());
    call.status = 200;
    return;
  }
  call.completion_tokens = tokens;
  call.status = 200;
  sendJson(response, 200, body, { 'x-request-id': answer.id });
}

/** POST /v1/chat/completions, whole or streamed. */
export async function chatCompletions(
  response: ServerResponse,
  request: ChatRequest,
  faultHeader: string | undefined,
  log: CallLog,
  config: DemoConfig,
): Promise<void> {
  validate(request);
  const fault = faultOf(request.model, faultHeader);
  const id = `chatcmpl-${randomUUID()}`;
  const promptTokens = countPromptTokens(request);
  const call = log.add({
    id,
    at: new Date().toISOString(),
    path: '/v1/chat/completions',
    model: request.model,
    stream: request.stream === true,
    status: 0,
    prompt_tokens: promptTokens,
    completion_tokens: 0,
  });
  if (fault.kind === 'error') {
    call.status = fault.status;
    throw errorOf(fault.status);
  }
  if (fault.kind === 'hang') await hang(response);
  const replies = Array.from({ length: request.n ?? 1 }, (_, index) => makeReply(request, index, id));
  const answer: Answer = { id, created: Math.floor(Date.now() / 1000), model: request.model, promptTokens, replies, fault };
  if (request.stream === true) await streamReplies(response, answer, request, call, config);
  else await sendWhole(response, answer, request, call, config);
  if (call.status === 0) call.status = 499;
}
