import type { RequestContext } from './context.js';
import { admissionHeaders } from './money-headers.js';

/** Headers of every authenticated answer: request id, what was left of limits and budget, and which route answered. */
export function answerHeaders(ctx: RequestContext): Record<string, string> {
  const headers: Record<string, string> = { 'x-request-id': ctx.requestId };
  if (ctx.admission && ctx.entitlement) admissionHeaders(headers, ctx.admission, ctx.entitlement.warningThreshold);
  if (ctx.attempts.length > 0) {
    headers['x-omg-attempts'] = String(ctx.attempts.length);
    if (ctx.route) headers['x-omg-route'] = ctx.route.doc.id;
  }
  return headers;
}
