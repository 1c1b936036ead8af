import type { ChatChoiceOut, FinishReason, ToolCallOut } from '../kit/chat-writer.js';
import { chatCompletionBody, outputBytesOf, type AnsweredCall } from '../kit/chat-writer.js';
import { billed } from '../kit/consumed.js';
import { isRecord, parseJsonObject, textOf } from '../kit/safe-json.js';
import type { JsonReply } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { UsageReport } from './usage.js';

/** Anthropic's words for why the output ended; words that are not known yet count as an ordinary end. */
export function finishReasonOf(stopReason: unknown): FinishReason {
  switch (stopReason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'tool_use':
      return 'tool_calls';
    case 'refusal':
      return 'content_filter';
    default:
      return 'stop';
  }
}

/** What the provider says to the person who asked, when it refuses. */
export function refusalOf(stopDetails: unknown): string | undefined {
  return isRecord(stopDetails) ? textOf(stopDetails.explanation) : undefined;
}

/** Turns a whole Messages answer into a chat completion. Throws `malformed` when it is none. */
export function fromMessage(bytes: Buffer, call: AnsweredCall): JsonReply {
  const message = parseJsonObject(bytes, 'the answer');
  const usage = new UsageReport();
  usage.merge(message.usage);
  const meters = usage.meters();
  const { content } = message;
  if (!Array.isArray(content)) throw billed(new ProviderError('malformed', { internal: 'the answer has no content list' }), meters);
  const choice = choiceOf(content, message);
  const id = textOf(message.id);
  const body = chatCompletionBody({ ...choice, call, id: id === undefined ? undefined : `chatcmpl-${id}`, meters });
  return { kind: 'json', body, meters, outputBytes: outputBytesOf(choice) };
}

function choiceOf(blocks: readonly unknown[], message: Record<string, unknown>): ChatChoiceOut {
  let text = '';
  let reasoning = '';
  const thinkingBlocks: unknown[] = [];
  const toolCalls: ToolCallOut[] = [];
  for (const block of blocks) {
    if (!isRecord(block)) continue;
    if (block.type === 'text' && typeof block.text === 'string') text += block.text;
    else if (block.type === 'thinking' || block.type === 'redacted_thinking') {
      if (typeof block.thinking === 'string') reasoning += block.thinking;
      thinkingBlocks.push(block);
    } else if (block.type === 'tool_use' && typeof block.id === 'string' && typeof block.name === 'string') {
      toolCalls.push({ id: block.id, name: block.name, arguments: JSON.stringify(block.input ?? {}) });
    }
  }
  return {
    content: text === '' ? null : text,
    reasoning,
    refusal: refusalOf(message.stop_details),
    toolCalls,
    finishReason: finishReasonOf(message.stop_reason),
    ...(thinkingBlocks.length === 0 ? {} : { messageExtras: { thinking_blocks: thinkingBlocks } }),
  };
}
