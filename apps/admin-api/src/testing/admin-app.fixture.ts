import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { createLogger, loadConfig } from '@omg/service-kit';
import { createPrisma, type PrismaClient, type PrismaTx } from '@omg/database';
import { connectNats, connectRedis, pingRedis, type RedisClient } from '@omg/storage';
import { attachServices, createTestDatabase, createTestRedis, waitFor, type TestDatabase } from '@omg/testkit';
import type { Role } from '@omg/domain';
import { fastify as createFastify } from 'fastify';
import { randomUUID } from 'node:crypto';
import { AppModule } from '../app.module.js';
import { PasswordHasher } from '../auth/password-hasher.js';
import { ADMIN_SECTIONS, sharedCredentials } from '../config.js';
import { HTTP_OPTIONS, prepareHttp } from '../http/http-server.js';
import { RecurringRun } from '../recurring-run.js';
import { createAccount } from '../users/accounts.js';
import type { UserRow } from '../users/user-body.js';

export const PASSWORD = 'correct horse battery';

/** The admin API over a real, own database, without its process. */
export interface AdminAppFixture {
  app: NestFastifyApplication;
  database: TestDatabase['settings'];
  prisma: PrismaClient;
  redis: RedisClient;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Makes a user with `PASSWORD`. */
  user(email: string, options?: { superAdmin?: boolean; memberships?: Record<string, Role> }): Promise<UserRow>;
  tenant(name?: string): Promise<string>;
  /** Signs in and answers the access token. */
  signIn(email: string): Promise<string>;
  close(): Promise<void>;
}

export interface CallOptions {
  token?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | number | undefined>;
  text: string;
  json: any;
}

export interface AdminAppOptions {
  environment?: Record<string, string>;
}

export async function startAdminApp(options: AdminAppOptions = {}): Promise<AdminAppFixture> {
  const database = await createTestDatabase();
  const testRedis = await createTestRedis();
  const { config } = loadConfig({
    sections: ADMIN_SECTIONS,
    env: {
      ROUTER_PROFILE: 'development',
      ROUTER_DB_URL: database.url,
      ROUTER_REDIS_URL: testRedis.url,
      ROUTER_NATS_URL: attachServices().natsUrl,
      ROUTER_ADMIN_SESSION_JWT_SECRET: 'a test secret of more than 32 bytes',
      ...options.environment,
    },
    cwd: '/nonexistent',
  });
  const prisma = createPrisma({ ...database.settings, maxConns: 8 }, { name: 'test' });
  const redis = connectRedis({ url: testRedis.url, commandTimeoutMs: 30_000 }, { name: 'test', mode: 'request' });

  const logger = createLogger({ service: 'admin-api-test', level: 'fatal' });
  const nats = connectNats(config.nats, { name: 'test' });
  // As a replica that takes part: its stores are there.
  await Promise.all([nats.connected(), waitFor(() => pingRedis(redis).then(() => true), { what: 'Redis' })]);
  const fastify = createFastify(HTTP_OPTIONS);
  prepareHttp(fastify);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with({ config, shared: sharedCredentials(config.providers), logger, prisma, redis, nats }),
    new FastifyAdapter(fastify as never),
    { logger: ['fatal'], abortOnError: false, bodyParser: false },
  );
  // What runs by the clock would run in the middle of a test on a slow machine: tests run it themselves.
  RecurringRun.prototype.start = () => undefined;
  await app.init();
  await app.getHttpAdapter().getInstance().ready();

  const call = async (method: string, path: string, { token, body, headers }: CallOptions = {}): Promise<Answer> => {
    const response = await app.inject({
      method: method as 'GET',
      url: path,
      headers: {
        host: 'localhost',
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && typeof body === 'string' && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { payload: body as object }),
    });
    let json: unknown;
    try {
      json = response.body ? JSON.parse(response.body) : undefined;
    } catch {
      json = undefined;
    }
    return { status: response.statusCode, headers: response.headers, text: response.body, json };
  };
  const passwordHash = await app.get(PasswordHasher, { strict: false }).hash(PASSWORD);
  return {
    app,
    database: database.settings,
    prisma,
    redis,
    call,
    user: (email, { superAdmin, memberships } = {}) =>
      prisma.$transaction(async (tx: PrismaTx) => {
        const user = await createAccount(tx, { email, name: email, passwordHash, isSuperAdmin: superAdmin ?? false });
        for (const [tenantId, role] of Object.entries(memberships ?? {})) await tx.membership.create({ data: { tenantId, userId: user.id, role } });
        return user;
      }),
    tenant: async (name = `tenant-${randomUUID()}`) => (await prisma.tenant.create({ data: { id: randomUUID(), name } })).id,
    signIn: async (email) => {
      const answer = await call('POST', '/admin/auth/login', { body: { email, password: PASSWORD } });
      if (answer.status !== 200) throw new Error(`login answered ${answer.status}: ${answer.text}`);
      return answer.json.access_token as string;
    },
    close: async () => {
      await app.close();
      await prisma.$disconnect();
      redis.disconnect();
      await nats.close();
    },
  };
}
