import { AdminError } from '@omg/contracts';
import { hasMorePartsThan } from '@omg/providers';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { toAdminError } from './error.filter.js';
import { etagOf } from './etag.js';

/** An alias has 128 characters, each of which may be twelve in a URL. */
const PARAM_CHARS_MAX = 2048;
/** More than the largest catalog has; nobody has shown a credential yet when a body is parsed. */
const JSON_PARTS_MAX = 50_000;

/** What the admin API asks of Fastify, in the service as in its tests. */
export const HTTP_OPTIONS: FastifyServerOptions = {
  routerOptions: { maxParamLength: PARAM_CHARS_MAX },
  // Addresses that cannot be routed never reach Nest: they get the same form of error here.
  frameworkErrors: (error, _request, reply) => {
    const refused = toAdminError(error);
    void (reply as FastifyReply).status(refused.status).send(refused.toBody());
  },
};

/** How bodies come in and answers go out: JSON only, nothing cached, versions as ETags. Call it before Nest adds its routes. */
export function prepareHttp(fastify: FastifyInstance): void {
  readJsonOnly(fastify);
  fastify.addHook('preSerialization', async (_request, reply, payload) => {
    const etag = reply.statusCode < 300 ? etagOf(payload) : undefined;
    // `If-Match` takes back what was said here.
    if (etag !== undefined) reply.header('etag', etag);
    return payload;
  });
  fastify.addHook('onSend', async (request, reply) => keepPrivate(request, reply));
}

/** Forms are what other sites can post without asking; an empty body is none, whatever its content type says. */
function readJsonOnly(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (hasMorePartsThan(body, JSON_PARTS_MAX)) return done(new AdminError('invalid_json', { message: 'The body has too many objects, arrays and names.' }));
    const text = body.toString('utf8');
    if (text.trim() === '') return done(null, undefined);
    parse(request, text, (error, parsed) => (error ? done(new AdminError('invalid_json', { cause: error })) : done(null, parsed)));
  });
}

/** Answers hold keys, tokens and figures of tenants: no proxy or browser keeps them, guesses at them, or tells others where they were. */
function keepPrivate(request: FastifyRequest, reply: FastifyReply): void {
  if (!request.url.startsWith('/admin/')) return;
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  reply.header('referrer-policy', 'no-referrer').header('x-content-type-options', 'nosniff');
}
