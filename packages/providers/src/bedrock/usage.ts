import type { Meters } from '@omg/domain';
import type { TokenUsage } from '@aws-sdk/client-bedrock-runtime';

/** Converse counts cache reads and writes beside the input, never inside it. Undefined as long as nothing was counted. */
export function metersOf(usage: Partial<TokenUsage> | undefined): Meters | undefined {
  if (usage?.inputTokens === undefined || usage.outputTokens === undefined) return undefined;
  const read = usage.cacheReadInputTokens ?? 0;
  const written = usage.cacheWriteInputTokens ?? 0;
  const meters: Meters = { inputTokens: usage.inputTokens + read + written, outputTokens: usage.outputTokens };
  if (read > 0) meters.cachedInputTokens = read;
  if (written > 0) meters.cacheWriteTokens = written;
  return meters;
}

/** Bedrock's own count of a call's input, for models whose body does not say it. */
export function inputTokensOf(headers: Readonly<Record<string, string>> | undefined): number | undefined {
  const value = Number(headers?.['x-amzn-bedrock-input-token-count']);
  return Number.isInteger(value) && value >= 0 ? value : undefined;
}
