import { WireError } from './wire.js';

/**
 * Faults on request: the header `x-demo-fault`, or the end of the model's name (the gateway does not forward client headers).
 *
 * | fault | what happens |
 * |---|---|
 * | `error-<status>` | that status, OpenAI's error form |
 * | `429` | 429 with `Retry-After: 1` |
 * | `slow` | two more seconds before the first byte |
 * | `cut` | the connection breaks in the middle of the answer |
 * | `hang` | no answer at all, until the caller leaves |
 * | `nousage` | an answer without usage |
 */
export type Fault = { kind: 'none' | 'slow' | 'cut' | 'hang' | 'nousage' } | { kind: 'error'; status: number };

export const SLOW_FAULT_MS = 2_000;

const PATTERN = /(?:^|-)(error-(?<status>[45]\d\d)|(?<rate>429)|(?<kind>slow|cut|hang|nousage))$/;

export function faultOf(model: string, header: string | undefined): Fault {
  const groups = PATTERN.exec(header ?? model)?.groups;
  if (groups === undefined) return { kind: 'none' };
  if (groups['rate'] !== undefined) return { kind: 'error', status: 429 };
  if (groups['status'] !== undefined) return { kind: 'error', status: Number(groups['status']) };
  return { kind: groups['kind'] as 'slow' | 'cut' | 'hang' | 'nousage' };
}

/** The model's name without its fault. */
export function baseModel(model: string): string {
  return model.replace(PATTERN, '');
}

export function errorOf(status: number): WireError {
  if (status === 429) {
    return new WireError(429, 'Rate limit reached for this model.', { type: 'requests', code: 'rate_limit_exceeded', headers: { 'retry-after': '1' } });
  }
  const type = status >= 500 ? 'server_error' : 'invalid_request_error';
  return new WireError(status, `The demo provider was asked to fail with ${status}.`, { type, code: 'demo_fault' });
}
