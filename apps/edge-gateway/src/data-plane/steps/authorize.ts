import { GatewayError } from '@omg/contracts';
import { capableRoutes, type NoRoute, type Operation } from '@omg/domain';
import type { Caller, RequestContext } from '../context.js';
import { INPUT_FIELD } from '../endpoint.js';

/** The key's scope, the tenant's allowlist, then the model itself, in this order: an unknown alias does not leak. */
export function authorize(ctx: RequestContext): void {
  const caller = ctx.caller!;
  requireScope(caller, ctx.endpoint.scope);
  const allowed = caller.tenant.allowedModels;
  if (allowed && !allowed.has(ctx.alias.toLowerCase())) throw new GatewayError('model_not_allowed', { param: 'model' });
  const model = ctx.services.snapshot.model(ctx.alias);
  if (!model) throw modelNotFound(ctx.alias);
  ctx.model = model;
  const { stream, needs, inputTokensEstimate, contextTokens = inputTokensEstimate } = ctx.parsed!;
  const capable = capableRoutes(model.routes, { operation: ctx.endpoint.operation, stream, inputTokens: contextTokens, ...needs });
  if (capable.none) throw incapable(ctx, capable.none);
  ctx.capable = capable.routes;
  // Answers echo the public name, whatever its spelling in the request.
  ctx.alias = model.alias;
}

const OPERATION_WORDS: Readonly<Record<Operation, string>> = { chat: 'chat completions', embeddings: 'embeddings', images: 'image generation' };
const ALIAS_CHARS_SHOWN_MAX = 128;

/** Says back what was asked for: a wrong setting of a client, or a blank one, shows at once. */
export function modelNotFound(alias: string): GatewayError {
  return new GatewayError('model_not_found', {
    param: 'model',
    message: `The model '${alias.slice(0, ALIAS_CHARS_SHOWN_MAX)}' does not exist or is not enabled.`,
  });
}

/** No route of the alias can do it: a field that none supports is named, else the operation itself is refused. */
function incapable(ctx: RequestContext, { why, param: field }: NoRoute): GatewayError {
  if (why === 'context_window') return new GatewayError('context_length_exceeded', { param: INPUT_FIELD[ctx.endpoint.operation] });
  if (field === undefined) {
    const message = `The model '${ctx.model!.alias}' does not support ${OPERATION_WORDS[ctx.endpoint.operation]}.`;
    return new GatewayError('unsupported_operation', { param: 'model', message });
  }
  if (field === 'messages') return new GatewayError('unsupported_parameter', { param: field, message: 'This model does not take images or audio.' });
  if (field === 'input') return new GatewayError('unsupported_parameter', { param: field, message: 'This model does not take token ids: send text.' });
  return new GatewayError('unsupported_parameter', { param: field, message: `'${field}' is not supported by this model.` });
}

/** An empty list of scopes means all. */
export function requireScope(caller: Caller, scope: string): void {
  const { scopes } = caller.key.doc;
  if (scopes.length > 0 && !scopes.includes(scope)) throw new GatewayError('insufficient_scope');
}
