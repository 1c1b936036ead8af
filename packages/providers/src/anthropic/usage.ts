import type { Meters } from '@omg/domain';
import { isRecord } from '../kit/safe-json.js';

/**
 * Anthropic counts uncached input, cache writes and cache reads apart; the gateway's input is the sum of the three.
 * Numbers in a stream are cumulative: a later report replaces an earlier one, field by field, and is never added to it.
 */
export class UsageReport {
  private input: number | undefined;
  private output: number | undefined;
  private cacheRead = 0;
  private cacheWrite = 0;
  private thinking = 0;

  /** Takes what the object says; fields that are missing or null keep their last value. */
  merge(usage: unknown): void {
    if (!isRecord(usage)) return;
    this.input = count(usage.input_tokens) ?? this.input;
    this.output = count(usage.output_tokens) ?? this.output;
    this.cacheRead = count(usage.cache_read_input_tokens) ?? this.cacheRead;
    this.cacheWrite = count(usage.cache_creation_input_tokens) ?? this.cacheWrite;
    const details = usage.output_tokens_details;
    if (isRecord(details)) this.thinking = count(details.thinking_tokens) ?? this.thinking;
  }

  /** Undefined as long as nobody told both sides. */
  meters(): Meters | undefined {
    if (this.input === undefined || this.output === undefined) return undefined;
    const meters: Meters = { inputTokens: this.input + this.cacheRead + this.cacheWrite, outputTokens: this.output };
    if (this.cacheRead > 0) meters.cachedInputTokens = this.cacheRead;
    if (this.cacheWrite > 0) meters.cacheWriteTokens = this.cacheWrite;
    if (this.thinking > 0) meters.reasoningTokens = Math.min(this.thinking, this.output);
    return meters;
  }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined;
}
