/** A version that an answer does not show: where the body is only a part of what the version counts. */
const HIDDEN_VERSION = Symbol('version');

/** Gives the answer `body` the ETag of `version` without a field of that name. */
export function withVersion<T extends object>(body: T, version: number): T {
  return Object.defineProperty(body, HIDDEN_VERSION, { value: version });
}

/** What goes into `ETag` for an answer, and comes back in `If-Match`; undefined for answers without a version. */
export function etagOf(payload: unknown): string | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const { version, [HIDDEN_VERSION]: hidden } = payload as { version?: unknown; [HIDDEN_VERSION]?: unknown };
  const known = hidden ?? version;
  return typeof known === 'number' ? `"${known}"` : undefined;
}
