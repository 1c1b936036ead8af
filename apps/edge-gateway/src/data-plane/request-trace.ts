import { genAiAttributes, genAiSpanName, type TraceSpan, type Tracing } from '@omg/service-kit';
import type { RouteEntry } from '../snapshot/config-snapshot.js';
import type { RequestContext } from './context.js';

/** The spans of one traced request: the request itself, and one per call to a provider, up to the end of its answer. */
export class RequestTrace {
  private call: TraceSpan | undefined;

  private constructor(
    private readonly tracing: Tracing,
    private readonly root: TraceSpan,
  ) {}

  /** Undefined: this request is not traced, and costs nothing. */
  static begin(tracing: Tracing, method: string, path: string, traceparent: string | undefined): RequestTrace | undefined {
    const root = tracing.start(`${method} ${path}`, { kind: 'server', parent: traceparent, attributes: { 'http.request.method': method, 'http.route': path } });
    return root && new RequestTrace(tracing, root);
  }

  get traceparent(): string {
    return this.root.traceparent;
  }

  get traceId(): string {
    return this.root.traceId;
  }

  attemptBegins(ctx: RequestContext, { doc }: RouteEntry): void {
    const { operation } = ctx.endpoint;
    this.call = this.tracing.start(genAiSpanName(operation, doc.providerModel), {
      kind: 'client',
      parent: this.root,
      attributes: {
        ...genAiAttributes({ operation, requestModel: ctx.alias, provider: doc.provider, responseModel: doc.providerModel }),
        'omg.route.id': doc.id,
        'omg.attempt': ctx.attempts.length + 1,
      },
    });
  }

  attemptFails(kind: string): void {
    this.call?.fail(kind);
    this.call?.end();
    this.call = undefined;
  }

  end(ctx: RequestContext): void {
    const { event } = ctx;
    if (event && this.call) {
      const { inputTokens, outputTokens } = event.meters;
      this.call.set({ 'gen_ai.usage.input_tokens': inputTokens, 'gen_ai.usage.output_tokens': outputTokens });
    }
    if (ctx.errorCode) this.call?.fail(ctx.errorCode);
    this.call?.end();
    this.root.set({
      'http.response.status_code': ctx.status,
      'omg.request.id': ctx.requestId,
      ...(ctx.caller ? { 'omg.tenant.id': ctx.caller.tenant.doc.id } : {}),
      ...(ctx.alias ? { 'gen_ai.request.model': ctx.alias } : {}),
      ...(event ? { 'omg.usage.id': event.id, 'omg.usage.source': event.usageSource } : {}),
    });
    if (ctx.status >= 500) this.root.fail(ctx.errorCode ?? String(ctx.status));
    this.root.end();
  }
}
