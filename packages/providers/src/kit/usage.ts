import { estimateTokens, type Meters } from '@omg/domain';

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/**
 * Meters from a usage object in OpenAI's words: chat, embeddings, and images (`input_tokens`). Servers differ in where
 * they put the cached tokens; a number that is missing or no count is left out. Undefined when there is no usage in it.
 */
export function metersFromUsage(value: unknown): Meters | undefined {
  const usage = record(value);
  const input = count(usage['prompt_tokens']) ?? count(usage['input_tokens']);
  const total = count(usage['total_tokens']);
  if (input === undefined && total === undefined) return undefined;
  const inputTokens = input ?? total!;
  const outputTokens = count(usage['completion_tokens']) ?? count(usage['output_tokens']) ?? Math.max(0, (total ?? inputTokens) - inputTokens);
  const meters: Meters = { inputTokens, outputTokens };
  const inputDetails = record(usage['prompt_tokens_details'] ?? usage['input_tokens_details']);
  const outputDetails = record(usage['completion_tokens_details'] ?? usage['output_tokens_details']);
  const cached = count(inputDetails['cached_tokens']) ?? count(usage['cached_tokens']) ?? count(usage['prompt_cache_hit_tokens']);
  const written = count(inputDetails['cache_write_tokens']);
  const reasoning = count(outputDetails['reasoning_tokens']) ?? count(usage['reasoning_tokens']);
  if (cached) meters.cachedInputTokens = Math.min(cached, inputTokens);
  if (written) meters.cacheWriteTokens = Math.min(written, inputTokens - (meters.cachedInputTokens ?? 0));
  if (reasoning) meters.reasoningTokens = Math.min(reasoning, outputTokens);
  return meters;
}

/**
 * What the gateway books for a chat answer whose provider counted nothing: clients hear the same, since many of them cannot do
 * without a usage object.
 */
export function estimatedMeters(inputTokensEstimate: number, outputBytes: number): Meters {
  return { inputTokens: inputTokensEstimate, outputTokens: estimateTokens(outputBytes) };
}

/** OpenAI's usage object of a chat completion. */
export function usageFromMeters(meters: Meters): Record<string, unknown> {
  const usage: Record<string, unknown> = {
    prompt_tokens: meters.inputTokens,
    completion_tokens: meters.outputTokens,
    total_tokens: meters.inputTokens + meters.outputTokens,
  };
  if (meters.cachedInputTokens !== undefined || meters.cacheWriteTokens !== undefined) {
    usage['prompt_tokens_details'] = {
      cached_tokens: meters.cachedInputTokens ?? 0,
      ...(meters.cacheWriteTokens === undefined ? {} : { cache_write_tokens: meters.cacheWriteTokens }),
    };
  }
  if (meters.reasoningTokens !== undefined) usage['completion_tokens_details'] = { reasoning_tokens: meters.reasoningTokens };
  return usage;
}
