import { GatewayError } from '@omg/contracts';
import { hasMorePartsThan } from '@omg/providers';
import { isUtf8 } from 'node:buffer';
import { isObject, missing, nestsDeeperThan, refuseLookalikes } from '../check.js';
import type { RequestContext } from '../context.js';

const ALIAS_CHARS_MAX = 128;

/** Parses the body once and checks what the gateway itself reads; everything else passes to the provider unseen. */
export function parse(ctx: RequestContext): void {
  const body = ctx.request.body;
  if (!Buffer.isBuffer(body) || body.length === 0) throw new GatewayError('invalid_json', { message: 'The request body is empty.' });
  const encoding = ctx.request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new GatewayError('unsupported_media_type', { message: 'Compressed request bodies are not supported.' });
  }
  // A body passes to the provider as bytes, so what our own decoding would mend must not be taken.
  if (!isUtf8(body)) throw new GatewayError('invalid_json', { message: 'The request body is not valid UTF-8.' });
  const { jsonDepthMax, jsonPartsMax } = ctx.services.config;
  if (hasMorePartsThan(body, jsonPartsMax)) {
    throw new GatewayError('invalid_json', { message: `The request body has more than ${jsonPartsMax} objects, arrays and member names.` });
  }
  ctx.raw = body;
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    throw new GatewayError('invalid_json');
  }
  if (!isObject(json)) throw new GatewayError('invalid_json', { message: 'The request body must be a JSON object.' });
  if (nestsDeeperThan(json, jsonDepthMax)) {
    throw new GatewayError('invalid_json', { message: `The request body nests deeper than ${jsonDepthMax} levels.` });
  }
  refuseLookalikes(json);
  ctx.json = json;
  ctx.alias = aliasOf(json.model);
  // What is changed here is sent changed; everything else passes byte for byte.
  if (ctx.endpoint.normalize?.(json)) ctx.raw = Buffer.from(JSON.stringify(json));
  ctx.parsed = ctx.endpoint.validate(json, ctx.raw);
}

function aliasOf(model: unknown): string {
  if (model === undefined || model === null) throw missing('model');
  const alias = typeof model === 'string' ? model.trim() : '';
  if (alias === '' || alias.length > ALIAS_CHARS_MAX) {
    throw new GatewayError('invalid_value', { param: 'model', message: `'model' must be a string of 1 to ${ALIAS_CHARS_MAX} characters.` });
  }
  return alias;
}
