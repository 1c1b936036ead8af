import {
  chatCompletionBody,
  newToolCallId,
  outputBytesOf,
  type ChatChoiceOut,
  type FinishReason,
  type ToolCallOut,
  type AnsweredCall,
} from '../kit/chat-writer.js';
import { readBilled } from '../kit/consumed.js';
import { isRecord, parseJsonObject, textOf } from '../kit/safe-json.js';
import type { JsonReply } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { metersOf } from './usage.js';

type Json = Record<string, unknown>;

const FILTERED: ReadonlySet<string> = new Set([
  'SAFETY', 'RECITATION', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'LANGUAGE', 'MODEL_ARMOR',
  'IMAGE_SAFETY', 'IMAGE_PROHIBITED_CONTENT', 'IMAGE_RECITATION',
]); // prettier-ignore
const BROKEN: ReadonlySet<string> = new Set(['MALFORMED_FUNCTION_CALL', 'UNEXPECTED_TOOL_CALL', 'TOO_MANY_TOOL_CALLS', 'MALFORMED_RESPONSE']);

/**
 * Gemini's words for why the output ended. It says STOP for tool calls too. A call that the model itself garbled is a
 * failure, not an end; words that are not known count as an ordinary end.
 */
export function finishReasonOf(reason: string, hasToolCalls: boolean): FinishReason {
  if (BROKEN.has(reason)) throw new ProviderError('malformed', { internal: `finish reason ${reason}` });
  if (FILTERED.has(reason)) return 'content_filter';
  if (reason === 'MAX_TOKENS') return 'length';
  return hasToolCalls ? 'tool_calls' : 'stop';
}

/** A prompt that was blocked has no candidates, and says why. */
export function refuseBlocked(answer: Json): void {
  const feedback = answer.promptFeedback;
  const reason = isRecord(feedback) ? textOf(feedback.blockReason) : undefined;
  if (reason !== undefined) throw new ProviderError('content_filter', { internal: `the prompt was blocked: ${reason}` });
}

export function candidatesOf(answer: Json): Json[] {
  return Array.isArray(answer.candidates) ? answer.candidates.filter(isRecord) : [];
}

export function partsOf(candidate: Json): Json[] {
  const { content } = candidate;
  return isRecord(content) && Array.isArray(content.parts) ? content.parts.filter(isRecord) : [];
}

/** The signature of a call in the spelling of Google's own OpenAI front; the client sends it back with the call. */
export function extraContentOf(part: Json): unknown {
  const signature = textOf(part.thoughtSignature);
  return signature === undefined ? undefined : { google: { thought_signature: signature } };
}

export function fromGenerateContent(bytes: Buffer, call: AnsweredCall, toolCallsMax?: number): JsonReply {
  const answer = parseJsonObject(bytes, 'the answer');
  const meters = metersOf(answer.usageMetadata);
  const [first, ...others] = readBilled(meters, () => choicesOf(answer, toolCallsMax));
  const id = textOf(answer.responseId);
  const body = chatCompletionBody({ ...first!, call, id: id === undefined ? undefined : `chatcmpl-${id}`, meters, furtherChoices: others });
  return { kind: 'json', body, meters, outputBytes: [first!, ...others].reduce((sum, choice) => sum + outputBytesOf(choice), 0) };
}

function choicesOf(answer: Json, toolCallsMax: number | undefined): ChatChoiceOut[] {
  refuseBlocked(answer);
  const candidates = candidatesOf(answer);
  if (candidates.length === 0) throw new ProviderError('malformed', { internal: 'the answer has no candidates' });
  return candidates.sort((a, b) => Number(a.index ?? 0) - Number(b.index ?? 0)).map((candidate) => choiceOf(candidate, toolCallsMax));
}

function choiceOf(candidate: Json, toolCallsMax: number | undefined): ChatChoiceOut {
  let text = '';
  let reasoning = '';
  const toolCalls: ToolCallOut[] = [];
  for (const part of partsOf(candidate)) {
    if (typeof part.text === 'string') {
      if (part.thought === true) reasoning += part.text;
      else text += part.text;
    } else if (isRecord(part.functionCall) && typeof part.functionCall.name === 'string') {
      const { id, name, args } = part.functionCall;
      toolCalls.push({ id: textOf(id) ?? newToolCallId(), name, arguments: JSON.stringify(args ?? {}), extraContent: extraContentOf(part) });
    }
  }
  return {
    content: text === '' ? null : text,
    reasoning,
    toolCalls: toolCalls.slice(0, toolCallsMax),
    finishReason: finishReasonOf(textOf(candidate.finishReason) ?? 'STOP', toolCalls.length > 0),
    logprobs: logprobsOf(candidate),
  };
}

/** OpenAI's logprobs from Gemini's two parallel lists; undefined when there are none. */
export function logprobsOf(candidate: Json): unknown {
  const result = candidate.logprobsResult;
  if (!isRecord(result) || !Array.isArray(result.chosenCandidates)) return undefined;
  const tops: unknown[] = Array.isArray(result.topCandidates) ? result.topCandidates : [];
  const content = result.chosenCandidates.filter(isRecord).map((chosen, index) => {
    const top = tops[index];
    const list: unknown[] = isRecord(top) && Array.isArray(top.candidates) ? top.candidates : [];
    return { ...tokenOf(chosen), top_logprobs: list.filter(isRecord).map(tokenOf) };
  });
  return { content, refusal: null };
}

function tokenOf(candidate: Json): { token: string; logprob: unknown; bytes: number[] } {
  const token = typeof candidate.token === 'string' ? candidate.token : '';
  return { token, logprob: candidate.logProbability ?? 0, bytes: [...Buffer.from(token)] };
}
