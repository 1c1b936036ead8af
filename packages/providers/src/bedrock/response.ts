import type { ConverseResponse } from '@aws-sdk/client-bedrock-runtime';
import { chatCompletionBody, outputBytesOf, type ChatChoiceOut, type FinishReason, type ToolCallOut, type AnsweredCall } from '../kit/chat-writer.js';
import { readBilled } from '../kit/consumed.js';
import type { JsonReply } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { metersOf } from './usage.js';

/** Converse's words for why the output ended. Output that the service itself calls malformed is a failure, not an end. */
export function finishReasonOf(stopReason: string | undefined): FinishReason {
  switch (stopReason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'tool_use':
      return 'tool_calls';
    case 'guardrail_intervened':
    case 'content_filtered':
      return 'content_filter';
    case 'malformed_model_output':
    case 'malformed_tool_use':
      throw new ProviderError('malformed', { internal: `stop reason ${stopReason}` });
    default:
      return 'stop';
  }
}

/** A signed or redacted block in the form in which the next request may bring it back. */
export function thinkingBlock(text: string, signature: string): Record<string, unknown> {
  return { type: 'thinking', thinking: text, signature };
}

export function redactedBlock(data: Uint8Array): Record<string, unknown> {
  return { type: 'redacted_thinking', data: Buffer.from(data).toString('base64') };
}

export function fromConverse(output: ConverseResponse, call: AnsweredCall, requestId: string | undefined, toolCallsMax?: number): JsonReply {
  const meters = metersOf(output.usage);
  const choice = readBilled(meters, () => choiceOf(output, toolCallsMax));
  const id = requestId === undefined ? undefined : `chatcmpl-${requestId}`;
  return { kind: 'json', body: chatCompletionBody({ ...choice, call, id, meters }), meters, outputBytes: outputBytesOf(choice) };
}

function choiceOf(output: ConverseResponse, toolCallsMax?: number): ChatChoiceOut {
  const content = output.output?.message?.content;
  if (content === undefined) throw new ProviderError('malformed', { internal: 'the answer has no message' });
  let text = '';
  let reasoning = '';
  const thinking: unknown[] = [];
  const toolCalls: ToolCallOut[] = [];
  for (const block of content) {
    if (block.text !== undefined) text += block.text;
    else if (block.toolUse?.toolUseId !== undefined && block.toolUse.name !== undefined) {
      toolCalls.push({ id: block.toolUse.toolUseId, name: block.toolUse.name, arguments: JSON.stringify(block.toolUse.input ?? {}) });
    } else if (block.reasoningContent?.reasoningText?.text !== undefined) {
      reasoning += block.reasoningContent.reasoningText.text;
      const { signature } = block.reasoningContent.reasoningText;
      if (signature !== undefined) thinking.push(thinkingBlock(block.reasoningContent.reasoningText.text, signature));
    } else if (block.reasoningContent?.redactedContent !== undefined) thinking.push(redactedBlock(block.reasoningContent.redactedContent));
  }
  return {
    content: text === '' ? null : text,
    reasoning,
    toolCalls: toolCalls.slice(0, toolCallsMax),
    finishReason: finishReasonOf(output.stopReason),
    ...(thinking.length === 0 ? {} : { messageExtras: { thinking_blocks: thinking } }),
  };
}
