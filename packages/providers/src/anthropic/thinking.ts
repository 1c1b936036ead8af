import type { OutputConfig, ThinkingConfigParam } from '@anthropic-ai/sdk/resources/messages';
import type { ChatRequest } from '../kit/chat-request.js';
import { invalid } from '../kit/chat-messages.js';
import { unsupportedParameter } from '../kit/errors.js';
import { isRecord } from '../kit/safe-json.js';

/** The API's own lower bound for a thinking budget. */
const BUDGET_MIN = 1024;
/** Thinking tokens per effort for models that take a budget; what OpenAI calls xhigh and max is as much as they are given. */
const BUDGETS: Readonly<Record<string, number>> = { minimal: 1024, low: 1024, medium: 4096, high: 16_384, xhigh: 32_768, max: 65_536 };
const EFFORTS: Readonly<Record<string, NonNullable<OutputConfig['effort']>>> = {
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'xhigh',
  max: 'max',
};
/** Claude 3 and Claude 4 up to 4.5 take a budget; later ones decide themselves and take an effort. */
const BUDGET_MODELS = /claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[0-5])?(?:$|[-@:](?:\d{8}|v\d|latest)))/;

export interface ThinkingPlan {
  thinking?: ThinkingConfigParam;
  effort?: OutputConfig['effort'];
  maxTokens: number;
}

interface ThinkingOptions {
  model: string;
  maxOutputTokens: number;
  defaultMaxTokens: number;
}

/**
 * How much the model may think and say. `thinking` in the client's request is Anthropic's own object and passes as it is;
 * otherwise `reasoning_effort` decides. As with OpenAI, the output limit counts thinking too, so a budget stays below it.
 */
export function thinkingOf(request: ChatRequest, options: ThinkingOptions): ThinkingPlan {
  const plain = request.maxTokens ?? (options.maxOutputTokens || options.defaultMaxTokens);
  const own = request.extensions.thinking;
  if (own !== undefined) {
    if (!isRecord(own) || typeof own.type !== 'string') throw invalid('thinking');
    return { thinking: own as unknown as ThinkingConfigParam, effort: effortOf(request.reasoningEffort), maxTokens: plain };
  }
  const effort = request.reasoningEffort;
  if (effort === undefined) return { maxTokens: plain };
  if (effort === 'none') return { thinking: { type: 'disabled' }, maxTokens: plain };
  if (!BUDGET_MODELS.test(options.model)) {
    return { thinking: { type: 'adaptive', display: 'summarized' }, effort: effortOf(effort), maxTokens: plain };
  }
  const wanted = BUDGETS[effort];
  if (wanted === undefined) throw unsupportedParameter('reasoning_effort');
  if (continuesWithoutThinking(request)) return { maxTokens: plain };
  // Without any limit given, room for the answer comes on top of the budget.
  const maxTokens = request.maxTokens ?? (options.maxOutputTokens || wanted + options.defaultMaxTokens);
  const budget = Math.min(wanted, Math.floor(maxTokens * 0.8));
  if (budget < BUDGET_MIN) throw invalid(request.maxTokens === undefined ? 'reasoning_effort' : request.maxTokensParam, 'no room to think');
  return { thinking: { type: 'enabled', budget_tokens: budget }, maxTokens };
}

/**
 * With a budget the API wants the thinking back that led to the calls whose results are sent. Clients that know OpenAI's fields alone
 * do not keep it: their tool loop goes on without thinking, as the API advises, rather than fail at its second step.
 */
function continuesWithoutThinking({ turns }: ChatRequest): boolean {
  const [calls, results] = turns.slice(-2);
  return results?.role === 'user' && results.results.length > 0 && calls?.role === 'assistant' && calls.thinking.length === 0;
}

function effortOf(effort: string | undefined): OutputConfig['effort'] | undefined {
  if (effort === undefined || effort === 'none') return undefined;
  const mapped = EFFORTS[effort];
  if (mapped === undefined) throw unsupportedParameter('reasoning_effort');
  return mapped;
}
