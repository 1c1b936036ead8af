import { isRecord } from '../kit/safe-json.js';
import { ProviderError } from '../spec/provider-error.js';

/** Bound for array indices in paths, so that a stray number cannot make a giant list. */
const INDEX_MAX = 10_000;
const STEP = /^(?:\.?([A-Za-z_$][\w$-]*)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\])/;
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Puts pieces of streamed arguments in their places: `{jsonPath: "$.recipe.items[0].name", stringValue: "Las"}`. Strings
 * arrive in pieces and join; other values come whole.
 */
export function applyPartialArgs(target: Record<string, unknown>, pieces: readonly unknown[]): void {
  for (const piece of pieces) {
    if (!isRecord(piece) || typeof piece.jsonPath !== 'string') throw broken();
    const steps = stepsOf(piece.jsonPath);
    const last = steps.pop();
    if (last === undefined) throw broken();
    let place: Record<string | number, unknown> = target;
    for (const [index, step] of steps.entries()) {
      const next = steps[index + 1] ?? last;
      place = (place[step] ??= typeof next === 'number' ? [] : {}) as Record<string | number, unknown>;
      if (typeof place !== 'object' || place === null) throw broken();
    }
    place[last] = valueOf(piece, place[last]);
  }
}

function stepsOf(path: string): (string | number)[] {
  let rest = path.replace(/^\$/, '');
  const steps: (string | number)[] = [];
  while (rest !== '') {
    const match = STEP.exec(rest);
    if (match === null) throw broken();
    rest = rest.slice(match[0].length);
    const index = match[2] === undefined ? undefined : Number(match[2]);
    const name = match[1] ?? match[3] ?? match[4] ?? '';
    if (index !== undefined ? index > INDEX_MAX : FORBIDDEN.has(name)) throw broken();
    steps.push(index ?? name);
  }
  return steps;
}

function valueOf(piece: Record<string, unknown>, before: unknown): unknown {
  if (typeof piece.stringValue === 'string') return (typeof before === 'string' ? before : '') + piece.stringValue;
  if (typeof piece.numberValue === 'number') return piece.numberValue;
  if (typeof piece.boolValue === 'boolean') return piece.boolValue;
  return 'nullValue' in piece ? null : before;
}

function broken(): ProviderError {
  return new ProviderError('malformed', { internal: 'a piece of streamed arguments has no readable place' });
}
