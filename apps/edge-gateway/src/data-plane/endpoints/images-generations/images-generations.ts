import { estimateTokens } from '@omg/domain';
import { GatewayError } from '@omg/contracts';
import { optionalBoolean, optionalEnum, optionalInteger, optionalString, requiredString } from '../../check.js';
import { NO_NEEDS, type Endpoint, type ParsedRequest } from '../../endpoint.js';

const IMAGES_MAX = 10;
const TEXTS = ['size', 'quality', 'style', 'background', 'user', 'output_format', 'moderation'];

/** `POST /v1/images/generations`. */
export const imagesGenerations: Endpoint = {
  path: '/v1/images/generations',
  operation: 'images',
  scope: 'images',
  /** The prompt is sent trimmed. */
  normalize(body): boolean {
    const { prompt } = body;
    if (typeof prompt !== 'string' || prompt.trim() === prompt) return false;
    body.prompt = prompt.trim();
    return true;
  },
  validate(body): ParsedRequest {
    const prompt = requiredString(body, 'prompt');
    const count = optionalInteger(body, 'n', 1, IMAGES_MAX) ?? 1;
    optionalEnum(body, 'response_format', ['url', 'b64_json']);
    for (const name of TEXTS) optionalString(body, name);
    optionalInteger(body, 'output_compression', 0, 100);
    // Partial images come as a stream, which this endpoint does not have.
    if (optionalBoolean(body, 'stream')) throw unsupported('stream');
    if ((optionalInteger(body, 'partial_images', 0, 3) ?? 0) > 0) throw unsupported('partial_images');
    return {
      stream: false,
      includeUsage: false,
      needs: NO_NEEDS,
      inputTokensEstimate: estimateTokens(Buffer.byteLength(prompt)),
      inputTokensMax: Buffer.byteLength(prompt),
      outputTokensMax: 0,
      images: {
        count,
        size: typeof body.size === 'string' ? body.size : undefined,
        quality: typeof body.quality === 'string' ? body.quality : undefined,
      },
    };
  },
};

function unsupported(param: string): GatewayError {
  return new GatewayError('unsupported_parameter', { param, message: `'${param}' is not supported here.` });
}
