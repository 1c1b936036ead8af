import type { ServiceContext, ServiceOptions, ServiceParts } from '@omg/service-kit';
import { KeyRing } from '@omg/domain';
import { createPrisma } from '@omg/database';
import { connectNats, connectRedis } from '@omg/storage';
import { setTimeout as delay } from 'node:timers/promises';
import { AppModule } from './app.module.js';
import { PasswordHasher } from './auth/password-hasher.js';
import type { SharedCredentials } from '@omg/providers';
import { ADMIN_SECTIONS, replaceSharedCredentials, sharedCredentials, type AdminSections } from './config.js';
import { HTTP_OPTIONS, prepareHttp } from './http/http-server.js';
import { Projector } from './projector/projector.js';
import { untilProjected } from './projector/until-projected.js';
import { Setup } from './setup.js';

type Context = ServiceContext<AdminSections>;

/** A start that only waits for Postgres goes on in the background after this time; until then a failure ends the process. */
const SETUP_AWAITED_MS = 10_000;
const BODY_BYTES_MAX = 1_048_576;
const RETRY_AFTER_SECONDS = '2';
const CHANGES: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
/** Nearly always some 10 ms; while the projector is away, no answer waits longer for it. */
const PROJECTION_AWAITED_MS = 1_000;

export const adminService: ServiceOptions<AdminSections> = {
  name: 'admin-api',
  sections: ADMIN_SECTIONS,
  listenAddr: (config) => config.admin.listenAddr,
  healthz: 'checks',
  bodyParser: false,
  fastify: (config) => ({
    ...HTTP_OPTIONS,
    bodyLimit: BODY_BYTES_MAX,
    ...(config.server.trustedProxies.length > 0 && { trustProxy: config.server.trustedProxies }),
  }),
  start,
};

async function start(context: Context): Promise<ServiceParts> {
  const { config, logger, lifecycle, health } = context;
  const observer = context.connections;
  const prisma = createPrisma(config.database, { name: 'admin-api', observer });
  lifecycle.onClose('postgres', () => prisma.$disconnect());
  health.add('postgres', () => prisma.$queryRaw`SELECT 1`);
  const redis = connectRedis(config.redis, { name: 'admin-api', mode: 'request', observer });
  lifecycle.onClose('redis', () => redis.disconnect());
  health.add('redis', () => redis.ping());
  const nats = connectNats(config.nats, { name: 'admin-api', observer });
  lifecycle.onClose('nats', () => nats.close());
  // The admin API serves without NATS; changes reach the edges when it is back.
  health.add('nats', () => nats.ping(), { critical: false });

  const shared = sharedCredentials(config.providers);
  const setup = await beginSetup(context, prisma, shared);
  const projector = new Projector({
    prisma,
    nats,
    database: config.database,
    replicas: config.nats.replicas,
    settings: { config, ring: new KeyRing(config.secrets.encryptionKeys), shared },
    logger,
    metrics: context.metrics,
  });
  lifecycle.onClose('projector', () => projector.stop());
  void setup.finished.then(() => {
    if (setup.isDone) projector.start();
  });

  context.onReload('catalog and defaults', async () => {
    replaceSharedCredentials(shared, config.providers);
    if (setup.isDone) await setup.bootstrap();
    projector.refresh();
  });

  return {
    module: AppModule.with({ config, shared, logger, prisma, redis, nats }),
    routes: (fastify) => {
      prepareHttp(fastify);
      fastify.addHook('onRequest', async (request, reply) => {
        if (setup.isDone || !request.url.startsWith('/admin')) return;
        await reply.code(503).header('retry-after', RETRY_AFTER_SECONDS).send({ error: 'The service is starting.', code: 'unavailable' });
      });
      // A change is told as done once the edges can know it: a script uses its new key at once, and would get a 401.
      fastify.addHook('onSend', async (request, reply) => {
        if (CHANGES.has(request.method) && reply.statusCode < 300 && nats.isConnected) await untilProjected(prisma, PROJECTION_AWAITED_MS);
      });
    },
  };
}

/** Migrations and bootstrap: a mistake in them fails the start, an absent Postgres is waited for in the background. */
async function beginSetup(context: Context, prisma: ReturnType<typeof createPrisma>, shared: SharedCredentials) {
  const { config, logger, health, shutdown } = context;
  const hasher = new PasswordHasher();
  const setup = new Setup({
    database: config.database,
    prisma,
    logger,
    signal: shutdown.stopping,
    bootstrap: {
      bootstrap: config.bootstrap,
      // A reload puts another list in its place.
      get modelCatalog() {
        return config.modelCatalog;
      },
      pepper: config.secrets.apiKeyPepper,
      localLogin: config.admin.local.enabled,
      ring: new KeyRing(config.secrets.encryptionKeys),
      shared,
      hashPassword: (password) => hasher.hash(password),
    },
  });
  health.add('setup', () => setup.check());
  let isAwaited = true;
  const finished = setup.run().catch((error: unknown) => {
    if (isAwaited) throw error;
    // Nobody waits for it any more: end the process as a failed start would.
    setImmediate(() => {
      throw error;
    });
    return new Promise<void>(() => undefined);
  });
  const timer = new AbortController();
  await Promise.race([finished, delay(SETUP_AWAITED_MS, undefined, { signal: timer.signal }).catch(() => undefined)]).finally(() => timer.abort());
  isAwaited = false;
  return {
    finished,
    bootstrap: () => setup.bootstrap(),
    get isDone() {
      return setup.isDone;
    },
  };
}
