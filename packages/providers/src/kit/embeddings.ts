import type { Meters } from '@omg/domain';
import type { ProviderCall } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { unsupportedParameter } from './errors.js';

export type Vector = readonly number[] | Float32Array;

/** Little-endian float32 bytes in base64: what SDKs ask for by default and decode without looking. */
export function vectorToBase64(vector: Vector): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  for (let i = 0; i < vector.length; i++) bytes.writeFloatLE(vector[i]!, i * 4);
  return bytes.toString('base64');
}

export function vectorFromBase64(text: string): number[] {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0 || bytes.length % 4 !== 0) throw new ProviderError('malformed', { internal: 'an embedding is not base64 of float32' });
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}

/** A flat, non-empty list of finite numbers; anything else (token-level output, nulls) is malformed. */
export function asVector(value: unknown): number[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every((x) => typeof x === 'number' && Number.isFinite(x))) {
    throw new ProviderError('malformed', { internal: 'an embedding is not a list of numbers' });
  }
  return value as number[];
}

export type EncodingFormat = 'float' | 'base64';

export function encodingFormatOf(json: Readonly<Record<string, unknown>>): EncodingFormat {
  return json['encoding_format'] === 'base64' ? 'base64' : 'float';
}

/** The inputs as texts; token ids are refused, for providers that cannot take them. */
export function textInputsOf(json: Readonly<Record<string, unknown>>): string[] {
  const input = json['input'];
  const inputs: unknown[] = Array.isArray(input) ? input : [input];
  if (!inputs.every((item) => typeof item === 'string')) throw unsupportedParameter('input');
  return inputs as string[];
}

/** How many vectors an answer must have: one text or one token list is one input. */
export function inputCountOf(json: Readonly<Record<string, unknown>>): number {
  const input = json['input'];
  return Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1;
}

/**
 * OpenAI's embeddings answer; the vectors are in the order of the inputs. Its usage is not optional: where the provider counted
 * nothing, the client hears the estimate that is booked.
 */
export function embeddingsBody(call: ProviderCall, vectors: readonly Vector[], meters: Meters | undefined): Buffer {
  const isBase64 = encodingFormatOf(call.json) === 'base64';
  const data = vectors.map((vector, index) => ({
    object: 'embedding',
    index,
    embedding: isBase64 ? vectorToBase64(vector) : Array.from(vector),
  }));
  const tokens = meters?.inputTokens ?? call.inputTokensEstimate;
  return Buffer.from(JSON.stringify({ object: 'list', data, model: call.alias, usage: { prompt_tokens: tokens, total_tokens: tokens } }));
}
