import { estimateTokens } from '@omg/domain';
import { missing, optionalEnum, optionalInteger } from '../../check.js';
import type { Endpoint, ParsedRequest } from '../../endpoint.js';

const IMAGES_MAX = 10;

/** `POST /v1/images/generations`. */
export const imagesGenerations: Endpoint = {
  path: '/v1/images/generations',
  operation: 'images',
  scope: 'images',
  validate(body): ParsedRequest {
    const { prompt } = body;
    if (typeof prompt !== 'string' || prompt.trim() === '') throw missing('prompt');
    const count = optionalInteger(body, 'n', 1, IMAGES_MAX) ?? 1;
    optionalEnum(body, 'response_format', ['url', 'b64_json']);
    return {
      stream: false,
      includeUsage: false,
      needs: { tools: false, imageInput: false, jsonSchema: false, logprobs: false, choices: 1, tokenArrays: false },
      inputTokensEstimate: estimateTokens(prompt.length),
      inputTokensMax: prompt.length * 3,
      outputTokensMax: 0,
      images: {
        count,
        size: typeof body.size === 'string' ? body.size : undefined,
        quality: typeof body.quality === 'string' ? body.quality : undefined,
      },
    };
  },
};
