import { GatewayError } from '@omg/contracts';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { EdgeServices } from '../edge-services.js';
import { answerHeaders } from './answer-headers.js';
import type { RequestContext } from './context.js';
import type { Endpoint } from './endpoint.js';
import { chatCompletions } from './endpoints/chat-completions/chat-completions.js';
import { embeddings } from './endpoints/embeddings/embeddings.js';
import { imagesGenerations } from './endpoints/images-generations/images-generations.js';
import { getModel, listModels } from './endpoints/models/models.js';
import { runPipeline } from './pipeline.js';
import { answerConnect, answerUnknownExpectation, newRequestId } from './protocol-errors.js';
import { readBody } from './read-body.js';
import { replyError, toGatewayError } from './reply-error.js';
import { RequestTrace } from './request-trace.js';
import { authenticate } from './steps/authenticate.js';
import { readState } from './steps/read-state.js';
import { record } from './steps/record.js';
import { isQueued, takesPlaceInQueue } from './pipelined.js';
import { holdContinue } from './unread-body.js';

/** Endpoints that call a provider. A new one is a folder and a line here. */
const ENDPOINTS: readonly Endpoint[] = [chatCompletions, embeddings, imagesGenerations];

/** Stands in for requests that call no provider; the path is what metrics and logs name. */
function withoutProvider(path: string): Endpoint {
  return {
    path,
    operation: 'chat',
    scope: 'models',
    validate: () => {
      throw new GatewayError('internal_error');
    },
  };
}

const MODELS = withoutProvider('/v1/models');
const UNMATCHED = withoutProvider('unmatched');

/** What is served, for those who ask with another method. */
const ALLOWED_METHODS: ReadonlyMap<string, string> = new Map([[MODELS.path, 'GET, HEAD'], ...ENDPOINTS.map(({ path }) => [path, 'POST'] as const)]);

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
  fastify.server.on('checkExpectation', answerUnknownExpectation);
  holdContinue(fastify.server);
  fastify.server.on('connect', answerConnect);
  // Before the body is looked at: an unknown URL is a 404 whatever is sent to it, in the form of every other error.
  fastify.addHook('onRequest', (request, reply, done) => {
    if (isQueued(reply.raw) && !takesPlaceInQueue(reply.raw)) return void request.raw.socket.destroy();
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') return void refuseWithoutHost(services, request, reply);
    if (!request.is404) return done();
    void refuseUnmatched(services, request, reply);
  });
  void fastify.register(async (v1) => {
    v1.removeAllContentTypeParsers();
    v1.addContentTypeParser('application/json', readBody);
    v1.setErrorHandler((error: FastifyError, request, reply) => failEarly(services, error, request, reply));
    for (const endpoint of ENDPOINTS) {
      v1.route({
        method: 'POST',
        url: endpoint.path,
        onRequest: (request, reply) => admitCaller(services, endpoint, request, reply),
        handler: (request) => runPipeline(request.gateway!),
      });
    }
    registerModels(v1, services);
  });
}

function registerModels(v1: FastifyInstance, services: EdgeServices): void {
  const answer = async (request: FastifyRequest, body: (ctx: RequestContext) => unknown): Promise<void> => {
    const ctx = request.gateway!;
    try {
      const json = JSON.stringify(body(ctx));
      await readState(ctx);
      ctx.status = 200;
      ctx.reply.code(200).headers(answerHeaders(ctx)).header('content-type', 'application/json; charset=utf-8').send(json);
      record(ctx, undefined);
    } catch (thrown) {
      await failWith(ctx, toGatewayError(thrown));
    }
  };
  const onRequest = (request: FastifyRequest, reply: FastifyReply): Promise<void> => admitCaller(services, MODELS, request, reply);
  v1.get('/v1/models', { onRequest, exposeHeadRoute: true }, (request) => answer(request, (ctx) => listModels(ctx.caller!, services.snapshot)));
  v1.get<{ Params: { '*': string } }>('/v1/models/*', { onRequest, exposeHeadRoute: true }, (request) =>
    // Aliases may hold slashes, as in `meta/llama`.
    answer(request, (ctx) => getModel(ctx.caller!, services.snapshot, request.params['*'])),
  );
}

/** 405 with the methods that a known path has; everything else is no URL of ours. Whoever has a key hears of its budget all the same. */
async function refuseUnmatched(services: EdgeServices, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const path = request.url.split('?', 1)[0]!.replace(/\/$/, '');
  const known = path.startsWith('/v1/models/') ? MODELS.path : path;
  const allowed = ALLOWED_METHODS.get(known);
  if (allowed !== undefined) reply.header('allow', allowed);
  const ctx = newContext(services, allowed === undefined ? UNMATCHED : withoutProvider(known), request, reply);
  if (request.headers.authorization !== undefined) await authenticate(ctx).catch(() => undefined);
  await failWith(ctx, allowed === undefined ? unknownUrl(request.method, path) : new GatewayError('method_not_allowed'));
}

const PATH_CHARS_SHOWN_MAX = 128;

/** What SDKs call by default or by habit, and have chat completions as a setting for. */
const CHAT_INSTEAD: ReadonlySet<string> = new Set(['/v1/responses', '/v1/completions']);

/** Most often a base URL lacks its `/v1`, has it twice, or has a path of another service before it: then the error says so. */
function unknownUrl(method: string, path: string): GatewayError {
  const meant = [...ALLOWED_METHODS.keys()].find((known) => path.endsWith(known.slice('/v1'.length)));
  let hint = meant === undefined ? '' : ` Did you mean ${meant}? The base URL for clients ends in /v1.`;
  if (CHAT_INSTEAD.has(path)) hint = ` Use ${chatCompletions.path} instead.`;
  return new GatewayError('not_found', { message: `Unknown request URL: ${method} ${path.slice(0, PATH_CHARS_SHOWN_MAX)}.${hint}` });
}

/** What HTTP/1.1 demands and Node, when it looks after it, answers without a body. */
async function refuseWithoutHost(services: EdgeServices, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const ctx = newContext(services, UNMATCHED, request, reply);
  await failWith(ctx, new GatewayError('malformed_request', { message: "The 'Host' header is missing." }));
}

/** Runs before the body is read: the request's context, its id, and the caller. */
async function admitCaller(services: EdgeServices, endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const ctx = newContext(services, endpoint, request, reply);
  request.gateway = ctx;
  try {
    if (services.inFlight.size >= services.config.inFlightMax) throw new GatewayError('overloaded', { retryAfterMs: 1000 });
    await authenticate(ctx);
  } catch (thrown) {
    await failWith(ctx, declaresTooMuch(ctx) ? new GatewayError('request_too_large') : toGatewayError(thrown));
  }
}

/** The limit of a body comes before the key; for callers whose key is good its reader sees to it. */
function declaresTooMuch({ request, services }: RequestContext): boolean {
  return Number(request.headers['content-length']) > services.config.bodyBytesMax;
}

/** A request that failed before the pipeline: an unreadable body, mostly. */
async function failEarly(services: EdgeServices, thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const ctx = request.gateway ?? newContext(services, UNMATCHED, request, reply);
  await failWith(ctx, toGatewayError(thrown));
}

async function failWith(ctx: RequestContext, error: GatewayError): Promise<void> {
  ctx.status = error.status;
  ctx.errorCode = error.code;
  await readState(ctx);
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
    requestId: typeof given === 'string' && REQUEST_ID.test(given) ? given : newRequestId(),
    traceparent: trace?.traceparent ?? received,
    trace,
    startedAt: performance.now(),
    place: -1,
    abortReason: undefined,
    attempt: undefined,
    caller: undefined,
    bodyBytes: 0,
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
    routeGeneration: 0,
    attempts: [],
    firstByteMs: undefined,
    status: 0,
    errorCode: undefined,
    event: undefined,
  };
}

const EMPTY = Buffer.alloc(0);
