import { describe, expect, it } from '@jest/globals';
import { GatewayError } from '@omg/contracts';
import { imagesGenerations } from './images-generations.js';

function problemOf(body: Record<string, unknown>): unknown {
  try {
    imagesGenerations.validate(body, Buffer.alloc(0));
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return [error.code, error.param];
  }
  return 'taken';
}

describe('an images request', () => {
  it('is sent with its prompt trimmed, and untouched where there is nothing to trim', () => {
    const body = { model: 'm', prompt: ' a cat\n' };
    expect(imagesGenerations.normalize!(body)).toBe(true);
    expect(body.prompt).toBe('a cat');
    expect(imagesGenerations.normalize!(body)).toBe(false);
  });

  it.each([
    [{ n: null, size: null, response_format: null, stream: false, partial_images: 0 }],
    [{ n: 10, size: '1024x1024', quality: 'hd', style: 'vivid', background: 'auto', response_format: 'b64_json', user: 'u' }],
    [{ output_format: 'webp', output_compression: 80, moderation: 'low' }],
  ])('may hold %j', (body) => expect(problemOf({ prompt: 'a cat', ...body })).toBe('taken'));

  it.each([
    [{ prompt: undefined }, 'missing_required_parameter', 'prompt'],
    [{ prompt: '' }, 'missing_required_parameter', 'prompt'],
    [{ prompt: 5 }, 'invalid_value', 'prompt'],
    [{ n: 0 }, 'invalid_value', 'n'],
    [{ n: 11 }, 'invalid_value', 'n'],
    [{ size: 1024 }, 'invalid_value', 'size'],
    [{ quality: 1 }, 'invalid_value', 'quality'],
    [{ style: [] }, 'invalid_value', 'style'],
    [{ response_format: 'png' }, 'invalid_value', 'response_format'],
    [{ output_compression: 101 }, 'invalid_value', 'output_compression'],
    [{ stream: true }, 'unsupported_parameter', 'stream'],
    [{ partial_images: 2 }, 'unsupported_parameter', 'partial_images'],
  ])('with %j is refused: %s at %s', (body, code, param) => expect(problemOf({ prompt: 'a cat', ...body })).toEqual([code, param]));
});
