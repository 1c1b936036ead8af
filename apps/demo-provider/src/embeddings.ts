import { createHash, randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { CallLog } from './call-log.js';
import type { DemoConfig } from './config.js';
import { baseModel, errorOf, faultOf } from './faults.js';
import { pause, timeToFirstTokenMs } from './pacing.js';
import { sendJson } from './send.js';
import { countTokens, splitTokens } from './tokens.js';
import { WireError, type EmbeddingsRequest } from './wire.js';

const DIMENSIONS_DEFAULT = 256;
const DIMENSIONS_MAX = 3072;
const INPUTS_MAX = 2048;

interface Item {
  /** What the vector is made of; equal features give equal directions. */
  features: string[];
  tokens: number;
}

function itemOf(input: string | number[]): Item {
  if (typeof input === 'string') return { features: splitTokens(input.toLowerCase()).map((token) => token.trim()), tokens: countTokens(input) };
  return { features: input.map((token) => `#${token}`), tokens: input.length };
}

function itemsOf(input: EmbeddingsRequest['input']): Item[] {
  const invalid = new WireError(400, "'$.input' is invalid.", { param: 'input' });
  if (typeof input === 'string') return input === '' ? [] : [itemOf(input)];
  if (!Array.isArray(input)) throw invalid;
  if (input.every((entry) => typeof entry === 'number')) return input.length === 0 ? [] : [itemOf(input)];
  return (input as (string | number[])[]).map((entry) => {
    const isText = typeof entry === 'string' && entry !== '';
    const isTokens = Array.isArray(entry) && entry.length > 0 && entry.every((token) => Number.isInteger(token));
    if (!isText && !isTokens) throw invalid;
    return itemOf(entry);
  });
}

/** A direction of the feature's own: bytes of a hash, stretched to the number of dimensions. */
function addFeature(vector: Float32Array, feature: string): void {
  for (let block = 0; block * 32 < vector.length; block += 1) {
    const bytes = createHash('sha256').update(`${block}:${feature}`).digest();
    for (let position = 0; position < 32 && block * 32 + position < vector.length; position += 1) {
      vector[block * 32 + position]! += bytes[position]! - 127.5;
    }
  }
}

/** A unit vector: the sum of the words' directions, so that texts with words in common lie close together. */
export function embed(features: readonly string[], dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  for (const feature of features) addFeature(vector, feature);
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}

function encode(vector: Float32Array, format: EmbeddingsRequest['encoding_format']): string | number[] {
  return format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
}

/** POST /v1/embeddings */
export async function embeddings(
  response: ServerResponse,
  request: EmbeddingsRequest,
  faultHeader: string | undefined,
  log: CallLog,
  config: DemoConfig,
): Promise<void> {
  if (typeof request.model !== 'string' || !baseModel(request.model).startsWith('demo-embed')) {
    throw new WireError(404, `The model \`${request.model}\` does not exist.`, { code: 'model_not_found' });
  }
  const items = itemsOf(request.input);
  if (items.length === 0 || items.length > INPUTS_MAX) throw new WireError(400, `'$.input' must have 1 to ${INPUTS_MAX} items.`, { param: 'input' });
  const dimensions = request.dimensions ?? DIMENSIONS_DEFAULT;
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > DIMENSIONS_MAX) {
    throw new WireError(400, `'dimensions' must be between 1 and ${DIMENSIONS_MAX}.`, { param: 'dimensions' });
  }
  const tokens = items.reduce((sum, item) => sum + item.tokens, 0);
  const id = `embd-${randomUUID()}`;
  const call = log.add({
    id,
    at: new Date().toISOString(),
    path: '/v1/embeddings',
    model: request.model,
    stream: false,
    status: 0,
    prompt_tokens: tokens,
    completion_tokens: 0,
  });
  const fault = faultOf(request.model, faultHeader);
  if (fault.kind === 'error') {
    call.status = fault.status;
    throw errorOf(fault.status);
  }
  if (!(await pause(response, timeToFirstTokenMs(config, fault) / 2))) {
    call.status = 499;
    return;
  }
  call.status = 200;
  const data = items.map((item, index) => ({ object: 'embedding', index, embedding: encode(embed(item.features, dimensions), request.encoding_format) }));
  sendJson(response, 200, { object: 'list', data, model: request.model, usage: { prompt_tokens: tokens, total_tokens: tokens } }, { 'x-request-id': id });
}
