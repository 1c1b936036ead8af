import { addMeters, type Meters } from '@omg/domain';
import { ProviderError } from '../spec/provider-error.js';
import { billed } from './consumed.js';

/**
 * Runs `work` over the items with at most `limit` at a time and keeps their order. The first failure is thrown once the
 * running ones have ended (a call that is cut off is billed and never tells how much), with what all of them were billed by
 * `metersOf`; nothing new is begun after it.
 */
export async function mapLimit<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
  metersOf: (result: R) => Meters | undefined,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const done: R[] = [];
  let next = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const index = next++;
      try {
        done.push((results[index] = await work(items[index]!, index)));
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.length === 0) return results;
  const others = failures.slice(1).map((error) => (error instanceof ProviderError ? error.consumed?.meters : undefined));
  throw billed(failures[0], sumOf([...done.map(metersOf), ...others]));
}

function sumOf(parts: readonly (Meters | undefined)[]): Meters | undefined {
  return parts.reduce((sum, part) => (sum === undefined || part === undefined ? (sum ?? part) : addMeters(sum, part)), undefined);
}

/** What a call was billed that has nothing but input, where the provider counted it. */
export function inputOnly(tokens: number | undefined): Meters | undefined {
  return tokens === undefined ? undefined : { inputTokens: tokens, outputTokens: 0 };
}
