import { costOf, type Meters, type NanoUsd, type Operation } from '@omg/domain';
import type { ModelEntry, RouteEntry } from '../snapshot/config-snapshot.js';
import type { ParsedRequest } from './endpoint.js';

/** What a request may cost, before it is made. */
export interface HoldEstimate {
  tokens: number;
  holdNano: NanoUsd;
  /** Least useful hold under strict enforcement: the whole input and one token of output per choice. */
  holdMinNano: NanoUsd;
}

export interface HoldOptions {
  strict: boolean;
  /** Output that is held when the client names no limit. */
  outputTokensDefault: number;
}

/**
 * Input estimate plus the output that was asked for (or a modest default), capped by the model's maximum, at the dearest
 * of the alias's routes. Under strict enforcement the input is counted as high as it can be, so that the hold is a bound.
 */
export function estimateHold(model: ModelEntry, operation: Operation, parsed: ParsedRequest, options: HoldOptions): HoldEstimate {
  const inputTokens = options.strict ? parsed.inputTokensMax : parsed.inputTokensEstimate;
  let holdNano = 0n;
  let holdMinNano = 0n;
  let outputTokensLargest = 0;
  for (const route of model.routes) {
    const outputTokens = expectedOutput(route, parsed, options.outputTokensDefault);
    if (outputTokens > outputTokensLargest) outputTokensLargest = outputTokens;
    const meters: Meters = { inputTokens, outputTokens, ...imageMeters(parsed) };
    const cost = options.strict ? dearest(route.price, meters, operation) : (costOf(route.price, meters, operation).totalNano ?? 0n);
    if (cost > holdNano) holdNano = cost;
    if (options.strict) {
      const least = dearest(route.price, { ...meters, outputTokens: Math.min(parsed.needs.choices, outputTokens) }, operation);
      if (least > holdMinNano) holdMinNano = least;
    }
  }
  return { tokens: parsed.inputTokensEstimate + outputTokensLargest, holdNano, holdMinNano };
}

/** The most that these tokens can cost, whichever of them turn out to be reasoning or to be written to a cache. */
function dearest(price: RouteEntry['price'], meters: Meters, operation: Operation): NanoUsd {
  const { inputTokens: cacheWriteTokens, outputTokens: reasoningTokens } = meters;
  let most = 0n;
  for (const kinds of [{}, { cacheWriteTokens }, { reasoningTokens }, { cacheWriteTokens, reasoningTokens }]) {
    const cost = costOf(price, { ...meters, ...kinds }, operation).totalNano ?? 0n;
    if (cost > most) most = cost;
  }
  return most;
}

/**
 * What is estimated for a model whose maximum is not known, at most: far above what any writes, and small enough that the sums of
 * windows, rows and amounts stay exact, whatever a client asks for.
 */
const OUTPUT_TOKENS_MAX = 100_000_000;

function expectedOutput(route: RouteEntry, parsed: ParsedRequest, outputTokensDefault: number): number {
  const asked = parsed.outputTokensMax ?? outputTokensDefault * parsed.needs.choices;
  const modelMax = route.doc.maxOutputTokens * parsed.needs.choices;
  return Math.min(asked, modelMax > 0 ? modelMax : OUTPUT_TOKENS_MAX);
}

function imageMeters(parsed: ParsedRequest): Partial<Meters> {
  if (!parsed.images) return {};
  const { count, size, quality } = parsed.images;
  return { images: count, ...(size ? { imageSize: size } : {}), ...(quality ? { imageQuality: quality } : {}) };
}

/** The output that a hold pays for at the dearest route: the ceiling that strict enforcement passes on to the provider. */
export function outputTokensForHold(model: ModelEntry, operation: Operation, parsed: ParsedRequest, heldNano: NanoUsd, wantedOutput: number): number {
  const choices = parsed.needs.choices;
  let low = 1;
  let high = Math.max(1, Math.floor(wantedOutput / choices));
  // The cost grows with the output: a binary search finds the largest output that the hold still covers.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const covers = model.routes.every((route) => {
      const meters = { inputTokens: parsed.inputTokensMax, outputTokens: middle * choices };
      return dearest(route.price, meters, operation) <= heldNano;
    });
    if (covers) low = middle;
    else high = middle - 1;
  }
  return low;
}
