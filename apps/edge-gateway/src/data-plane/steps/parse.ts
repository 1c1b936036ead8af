import { GatewayError } from '@omg/contracts';
import { isObject, missing, nestsDeeperThan } from '../check.js';
import type { RequestContext } from '../context.js';

const ALIAS_CHARS_MAX = 128;

/** Parses the body once and checks what the gateway itself reads; everything else passes to the provider unseen. */
export function parse(ctx: RequestContext): void {
  const body = ctx.request.body;
  if (!Buffer.isBuffer(body) || body.length === 0) throw new GatewayError('invalid_json', { message: 'The request body is empty.' });
  ctx.raw = body;
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    throw new GatewayError('invalid_json');
  }
  if (!isObject(json)) throw new GatewayError('invalid_json', { message: 'The request body must be a JSON object.' });
  if (nestsDeeperThan(json, ctx.services.config.jsonDepthMax)) {
    throw new GatewayError('invalid_json', { message: `The request body nests deeper than ${ctx.services.config.jsonDepthMax} levels.` });
  }
  ctx.json = json;
  ctx.alias = aliasOf(json.model);
  ctx.parsed = ctx.endpoint.validate(json, body);
}

function aliasOf(model: unknown): string {
  if (model === undefined || model === null) throw missing('model');
  const alias = typeof model === 'string' ? model.trim() : '';
  if (alias === '' || alias.length > ALIAS_CHARS_MAX) {
    throw new GatewayError('invalid_value', { param: 'model', message: `'model' must be a string of 1 to ${ALIAS_CHARS_MAX} characters.` });
  }
  return alias;
}
