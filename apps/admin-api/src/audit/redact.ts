import { maskUrl, canonicalJson } from '@omg/domain';

/**
 * Keeps secrets out of the audit log by the names of fields, whatever a caller hands in: a service that forgets to leave
 * a password out still writes none.
 */
const SECRET_NAME =
  /pass(word|wd)|secret|credential|authorization|private_?key|api_?key|access_?key|session_?key|encryption_?key|token|digest|hash|sealed|cookie|pepper/i;
/** Names that match by accident: ids, counts and limits. */
const HARMLESS_NAME =
  /^(has_.*|.*_?tokens?(_.*)?per_?minute|tokens?_?per_?minute|max_?(output_?)?tokens|.*_id|.*Id|.*_ids|.*_prefix|prefix|token_name|(default|total|input|output)?_?tokens|bedrock_default_max_tokens|price_.*|tokens_per_.*)$/i;

const REDACTED = '[redacted]';

export function withoutSecrets(value: unknown, name = ''): unknown {
  if (value === null || value === undefined) return value;
  if (name !== '' && SECRET_NAME.test(name) && !HARMLESS_NAME.test(name) && typeof value !== 'boolean') return REDACTED;
  if (typeof value === 'string') return /^https?:\/\//i.test(value) ? maskUrl(value) : value;
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, name));
  if (typeof value !== 'object' || value instanceof Date || typeof (value as { toJSON?: unknown }).toJSON === 'function') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item, key)]));
}

/** Both states with only the fields that differ; undefined sides stay undefined. */
export function changedFields(before: object | null | undefined, after: object | null | undefined): { before?: object; after?: object } {
  if (!before || !after) return { ...(before && { before }), ...(after && { after }) };
  const left: Record<string, unknown> = {};
  const right: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const a = (before as Record<string, unknown>)[key];
    const b = (after as Record<string, unknown>)[key];
    if (canonicalJson(a ?? null) === canonicalJson(b ?? null)) continue;
    left[key] = a ?? null;
    right[key] = b ?? null;
  }
  return { before: left, after: right };
}
