import type { LeafKind } from './fields.js';
import { parseDurationMs } from './duration.js';

export type Coerced = { value: unknown } | { problem: string };

/** Brings a value from the file or a variable into the type of its leaf. What cannot be read is left to the schema. */
export function coerce(kind: LeafKind, raw: unknown): Coerced {
  switch (kind) {
    case 'duration': {
      const ms = parseDurationMs(raw);
      return ms === undefined ? { problem: 'must be a duration such as 300s, 5m, 1h30m or 250ms, or a number of seconds' } : { value: ms };
    }
    case 'integer':
    case 'number':
      return typeof raw === 'string' ? toNumber(raw) : { value: raw };
    case 'flag':
      return toFlag(raw);
    case 'list':
      return { value: typeof raw === 'string' ? toList(raw) : raw };
    case 'json': {
      const json = typeof raw === 'string' ? toJson(raw) : { value: raw };
      return 'value' in json ? { value: withoutNulls(json.value) } : json;
    }
    case 'text':
      // A YAML number or date where a text belongs, such as `password: 12345`.
      return { value: typeof raw === 'number' || typeof raw === 'boolean' ? String(raw) : raw };
  }
}

/** A key without a value, as in `quota:`, is a key that is not there; at every depth, as it is for the sections. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Reflect.ownKeys(value)
    .map((key) => [key, (value as Record<PropertyKey, unknown>)[key]] as const)
    .filter(([, child]) => child !== null);
  return Object.fromEntries(kept.map(([key, child]) => [key, typeof key === 'symbol' ? child : withoutNulls(child)]));
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/** Inside lists and maps a variable's text may stand for a number or a flag; what it is not stays for the schema to refuse. */
export function asNumber(raw: unknown): unknown {
  return typeof raw === 'string' && NUMBER.test(raw.trim()) ? Number(raw) : raw;
}

export function asFlag(raw: unknown): unknown {
  if (typeof raw !== 'string') return raw;
  const read = toFlag(raw);
  return 'value' in read ? read.value : raw;
}

function toNumber(raw: string): Coerced {
  const text = raw.trim();
  return NUMBER.test(text) ? { value: Number(text) } : { problem: 'must be a number' };
}

function toFlag(raw: unknown): Coerced {
  if (typeof raw === 'boolean') return { value: raw };
  const text = String(raw).trim().toLowerCase();
  if (text === 'true' || text === '1') return { value: true };
  if (text === 'false' || text === '0') return { value: false };
  return { problem: 'must be true, false, 1 or 0' };
}

/** `a,b`, or JSON for those who write all their lists that way. */
function toList(raw: string): unknown {
  if (raw.trim().startsWith('[')) {
    const json = toJson(raw);
    if ('value' in json) return json.value;
  }
  return raw
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function toJson(raw: string): Coerced {
  try {
    return { value: JSON.parse(raw) as unknown };
  } catch {
    return { problem: 'must be JSON' };
  }
}
