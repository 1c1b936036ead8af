import type { Meters } from '@omg/domain';
import { isRecord } from '../kit/safe-json.js';

/**
 * Gemini's prompt count includes what was cached; its candidates exclude thoughts, and prompts of tools that the service
 * ran itself come on top. Streams repeat the counts on most chunks, the last being the final one.
 */
export function metersOf(usage: unknown): Meters | undefined {
  if (!isRecord(usage)) return undefined;
  const prompt = count(usage.promptTokenCount);
  if (prompt === undefined) return undefined;
  const thoughts = count(usage.thoughtsTokenCount) ?? 0;
  const inputTokens = prompt + (count(usage.toolUsePromptTokenCount) ?? 0);
  const candidates = count(usage.candidatesTokenCount) ?? 0;
  // Thoughts stand beside the candidates in all recordings; should some model count them inside, the total tells.
  const inside = count(usage.totalTokenCount) === inputTokens + candidates && candidates >= thoughts;
  const meters: Meters = { inputTokens, outputTokens: inside ? candidates : candidates + thoughts };
  const cached = count(usage.cachedContentTokenCount) ?? 0;
  if (cached > 0) meters.cachedInputTokens = Math.min(cached, meters.inputTokens);
  if (thoughts > 0) meters.reasoningTokens = thoughts;
  return meters;
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined;
}
