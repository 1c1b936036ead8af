import { ProviderError } from '../spec/provider-error.js';

/** Parsed JSON, or undefined for anything else. */
export function tryParseJson(text: Buffer | string): unknown {
  try {
    return JSON.parse(typeof text === 'string' ? text : text.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A JSON object out of a provider's answer; throws ProviderError `malformed` for anything else. */
export function parseJsonObject(text: Buffer | string, what: string): Record<string, unknown> {
  const value = tryParseJson(text);
  if (!isRecord(value)) throw new ProviderError('malformed', { internal: `${what} is not a JSON object` });
  return value;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
