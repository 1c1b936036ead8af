import { estimateTokens } from '@omg/domain';
import { invalid, missing, optionalEnum, optionalInteger, optionalString } from '../../check.js';
import { NO_NEEDS, type Endpoint, type ParsedRequest } from '../../endpoint.js';

const INPUTS_MAX = 2048;

/** `POST /v1/embeddings`: a text, texts, token ids, or lists of token ids. */
export const embeddings: Endpoint = {
  path: '/v1/embeddings',
  operation: 'embeddings',
  scope: 'embeddings',
  validate(body): ParsedRequest {
    const size = inputSize(body.input);
    optionalEnum(body, 'encoding_format', ['float', 'base64']);
    optionalInteger(body, 'dimensions', 1, 1_000_000);
    optionalString(body, 'user');
    return {
      stream: false,
      includeUsage: false,
      needs: { ...NO_NEEDS, tokenArrays: size.tokenArrays },
      inputTokensEstimate: size.tokens + estimateTokens(size.bytes),
      inputTokensMax: size.tokens + size.bytes,
      contextTokens: size.largest,
      outputTokensMax: 0,
    };
  },
};

interface InputSize {
  /** Of text. */
  bytes: number;
  tokens: number;
  tokenArrays: boolean;
  /** Tokens of the longest single input, rather too few than too many: each has the context window to itself. */
  largest: number;
}

function inputSize(input: unknown): InputSize {
  if (input === undefined || input === null) throw missing('input');
  if (typeof input === 'string') {
    if (input.length === 0) throw invalid('input', "'input' must not be empty.");
    return { bytes: Buffer.byteLength(input), tokens: 0, tokenArrays: false, largest: estimateTokens(input.length) };
  }
  if (!Array.isArray(input)) throw invalid('input', "'input' must be a string or an array.");
  if (input.length === 0) throw invalid('input', "'input' must not be empty.");
  if (typeof input[0] === 'number') {
    checkTokens(input, 'input');
    return { bytes: 0, tokens: input.length, tokenArrays: true, largest: input.length };
  }
  if (input.length > INPUTS_MAX) throw invalid('input', `'input' must have at most ${INPUTS_MAX} items.`);
  const ofTokens = Array.isArray(input[0]);
  let bytes = 0;
  let tokens = 0;
  let largest = 0;
  for (let i = 0; i < input.length; i++) {
    const item: unknown = input[i];
    if (ofTokens && Array.isArray(item) && item.length > 0) {
      checkTokens(item, `input[${i}]`);
      tokens += item.length;
      largest = Math.max(largest, item.length);
    } else if (!ofTokens && typeof item === 'string' && item.length > 0) {
      bytes += Buffer.byteLength(item);
      largest = Math.max(largest, estimateTokens(item.length));
    } else {
      throw invalid(`input[${i}]`, `'input[${i}]' must be a non-empty ${ofTokens ? 'array of token ids' : 'string'}.`);
    }
  }
  return { bytes, tokens, tokenArrays: ofTokens, largest };
}

function checkTokens(tokens: unknown[], at: string): void {
  for (const token of tokens) {
    if (!Number.isSafeInteger(token) || (token as number) < 0) throw invalid(at, `'${at}' must hold token ids only.`);
  }
}
