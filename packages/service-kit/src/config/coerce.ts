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
    case 'json':
      return typeof raw === 'string' ? toJson(raw) : { value: raw };
    case 'text':
      // A YAML number or date where a text belongs, such as `password: 12345`.
      return { value: typeof raw === 'number' || typeof raw === 'boolean' ? String(raw) : raw };
  }
}

function toNumber(raw: string): Coerced {
  const text = raw.trim();
  return /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(text) ? { value: Number(text) } : { problem: 'must be a number' };
}

function toFlag(raw: unknown): Coerced {
  if (typeof raw === 'boolean') return { value: raw };
  const text = String(raw).trim().toLowerCase();
  if (text === 'true' || text === '1') return { value: true };
  if (text === 'false' || text === '0') return { value: false };
  return { problem: 'must be true, false, 1 or 0' };
}

function toList(raw: string): string[] {
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
