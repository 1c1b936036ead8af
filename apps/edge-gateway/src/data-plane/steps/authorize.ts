import { GatewayError } from '@omg/contracts';
import { capableRoutes, type NoRoute } from '@omg/domain';
import type { Caller, RequestContext } from '../context.js';
import { INPUT_FIELD } from '../endpoint.js';

/** The key's scope, the tenant's allowlist, then the model itself, in this order: an unknown alias does not leak. */
export function authorize(ctx: RequestContext): void {
  const caller = ctx.caller!;
  requireScope(caller, ctx.endpoint.scope);
  const allowed = caller.tenant.allowedModels;
  if (allowed && !allowed.has(ctx.alias.toLowerCase())) throw new GatewayError('model_not_allowed', { param: 'model' });
  const model = ctx.services.snapshot.model(ctx.alias);
  if (!model) throw new GatewayError('model_not_found', { param: 'model' });
  ctx.model = model;
  const { stream, needs, inputTokensEstimate, contextTokens = inputTokensEstimate } = ctx.parsed!;
  const capable = capableRoutes(model.routes, { operation: ctx.endpoint.operation, stream, inputTokens: contextTokens, ...needs });
  if (capable.none) throw incapable(ctx, capable.none);
  ctx.capable = capable.routes;
  // Answers echo the public name, whatever its spelling in the request.
  ctx.alias = model.alias;
}

/** No route of the alias can do it: a field that none supports is named, else the operation itself is refused. */
function incapable(ctx: RequestContext, { why, param: field }: NoRoute): GatewayError {
  if (why === 'context_window') return new GatewayError('context_length_exceeded', { param: INPUT_FIELD[ctx.endpoint.operation] });
  if (field === undefined) return new GatewayError('unsupported_operation', { param: 'model' });
  if (field === 'messages') return new GatewayError('unsupported_parameter', { param: field, message: 'This model does not take images or audio.' });
  return new GatewayError('unsupported_parameter', { param: field, message: `'${field}' is not supported by this model.` });
}

/** An empty list of scopes means all. */
export function requireScope(caller: Caller, scope: string): void {
  const { scopes } = caller.key.doc;
  if (scopes.length > 0 && !scopes.includes(scope)) throw new GatewayError('insufficient_scope');
}
