import { GatewayError } from '@omg/contracts';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import type { EdgeServices } from '../edge-services.js';
import { answerHeaders } from './answer-headers.js';
import type { RequestContext } from './context.js';
import type { Endpoint } from './endpoint.js';
import { chatCompletions } from './endpoints/chat-completions/chat-completions.js';
import { embeddings } from './endpoints/embeddings/embeddings.js';
import { imagesGenerations } from './endpoints/images-generations/images-generations.js';
import { getModel, listModels } from './endpoints/models/models.js';
import { runPipeline } from './pipeline.js';
import { replyError, toGatewayError } from './reply-error.js';
import { RequestTrace } from './request-trace.js';
import { authenticate } from './steps/authenticate.js';
import { readBudgets } from './steps/read-budgets.js';
import { record } from './steps/record.js';

/** Endpoints that call a provider. A new one is a folder and a line here. */
const ENDPOINTS: readonly Endpoint[] = [chatCompletions, embeddings, imagesGenerations];

/** Stands in for requests that call no provider. */
const NO_PROVIDER: Endpoint = {
  path: '/v1/models',
  operation: 'chat',
  scope: 'models',
  validate: () => {
    throw new GatewayError('internal_error');
  },
};

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

declare module 'fastify' {
  interface FastifyRequest {
    gateway: RequestContext | null;
  }
}

/**
 * The data plane on the bare Fastify instance: Nest's guards, pipes and interceptors cost more than the whole pipeline.
 * A key is checked before the body is read, so nobody without one can make the gateway buffer megabytes.
 */
export function registerDataPlane(fastify: FastifyInstance, services: EdgeServices): void {
  fastify.decorateRequest('gateway', null);
  void fastify.register(async (v1) => {
    v1.removeAllContentTypeParsers();
    v1.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: services.config.bodyBytesMax }, (_request, body, done) => done(null, body));
    v1.setErrorHandler((error: FastifyError, request, reply) => failEarly(services, error, request, reply));
    for (const endpoint of ENDPOINTS) {
      v1.route({
        method: 'POST',
        url: endpoint.path,
        onRequest: (request, reply) => admitCaller(services, endpoint, request, reply),
        handler: (request) => runPipeline(request.gateway!),
      });
      refuseOtherMethods(v1, services, endpoint.path, ['GET', 'PUT', 'PATCH', 'DELETE']);
    }
    registerModels(v1, services);
    // Before the body is looked at: an unknown URL is a 404 whatever is sent to it.
    v1.all('/v1/*', { onRequest: (request, reply) => failEarly(services, new GatewayError('not_found'), request, reply) }, () => undefined);
  });
}

function registerModels(v1: FastifyInstance, services: EdgeServices): void {
  const answer = async (request: FastifyRequest, body: (ctx: RequestContext) => unknown): Promise<void> => {
    const ctx = request.gateway!;
    try {
      const json = JSON.stringify(body(ctx));
      await readBudgets(ctx);
      ctx.status = 200;
      ctx.reply.code(200).headers(answerHeaders(ctx)).header('content-type', 'application/json; charset=utf-8').send(json);
      record(ctx, undefined);
    } catch (thrown) {
      await failWith(ctx, toGatewayError(thrown));
    }
  };
  const onRequest = (request: FastifyRequest, reply: FastifyReply): Promise<void> => admitCaller(services, NO_PROVIDER, request, reply);
  v1.get('/v1/models', { onRequest }, (request) => answer(request, (ctx) => listModels(ctx.caller!, services.snapshot)));
  v1.get<{ Params: { '*': string } }>('/v1/models/*', { onRequest }, (request) =>
    // Aliases may hold slashes, as in `meta/llama`.
    answer(request, (ctx) => getModel(ctx.caller!, services.snapshot, request.params['*'])),
  );
  refuseOtherMethods(v1, services, '/v1/models', ['POST', 'PUT', 'PATCH', 'DELETE']);
}

function refuseOtherMethods(v1: FastifyInstance, services: EdgeServices, url: string, method: string[]): void {
  v1.route({
    method,
    url,
    onRequest: (request, reply) => failEarly(services, new GatewayError('method_not_allowed'), request, reply),
    handler: () => undefined,
  });
}

/** Runs before the body is read: the request's context, its id, and the caller. */
async function admitCaller(services: EdgeServices, endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const ctx = newContext(services, endpoint, request, reply);
  request.gateway = ctx;
  try {
    if (services.inFlight.size >= services.config.inFlightMax) throw new GatewayError('overloaded', { retryAfterMs: 1000 });
    await authenticate(ctx);
  } catch (thrown) {
    await failWith(ctx, toGatewayError(thrown));
  }
}

/** A request that failed outside the pipeline: unknown URL, wrong method, unreadable body. */
async function failEarly(services: EdgeServices, thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const ctx = request.gateway ?? newContext(services, NO_PROVIDER, request, reply);
  await failWith(ctx, toGatewayError(thrown));
}

async function failWith(ctx: RequestContext, error: GatewayError): Promise<void> {
  ctx.status = error.status;
  ctx.errorCode = error.code;
  await readBudgets(ctx);
  replyError(ctx, error);
  record(ctx, error);
}

function newContext(services: EdgeServices, endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): RequestContext {
  const given = request.headers['x-request-id'];
  const header = request.headers.traceparent;
  const received = typeof header === 'string' && TRACEPARENT.test(header) ? header : undefined;
  const trace = RequestTrace.begin(services.tracing, request.method, endpoint.path, received);
  return {
    services,
    endpoint,
    request,
    reply,
    requestId: typeof given === 'string' && REQUEST_ID.test(given) ? given : `req_${randomUUID().replaceAll('-', '')}`,
    traceparent: trace?.traceparent ?? received,
    trace,
    startedAt: performance.now(),
    abortReason: undefined,
    attempt: undefined,
    caller: undefined,
    raw: EMPTY,
    json: {},
    parsed: undefined,
    alias: '',
    model: undefined,
    idempotency: undefined,
    entitlement: undefined,
    grant: undefined,
    admission: undefined,
    capable: [],
    plan: [],
    route: undefined,
    attempts: [],
    firstByteMs: undefined,
    status: 0,
    errorCode: undefined,
    event: undefined,
  };
}

const EMPTY = Buffer.alloc(0);
