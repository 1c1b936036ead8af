import { kvToken } from '@omg/contracts';
import { KeyRing } from '@omg/domain';
import { createLogger, loadConfig, Metrics } from '@omg/service-kit';
import { createPrisma, type PrismaClient } from '@omg/database';
import { ConfigBucket, connectNats, type NatsClient } from '@omg/storage';
import { createTestDatabase, startNats, waitFor, type OwnService } from '@omg/testkit';
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { newId } from '../new-id.js';
import { Projector, type ProjectorOptions } from './projector.js';

export const RING = new KeyRing([`test:${Buffer.alloc(32, 7).toString('base64')}`]);

/** Projectors over a real database and a NATS server of their own. */
export class ProjectorFixture {
  private readonly opened: { projector: Projector; client: NatsClient }[] = [];

  private constructor(
    readonly prisma: PrismaClient,
    readonly databaseUrl: string,
    public nats: OwnService,
    private readonly reader: NatsClient,
  ) {}

  static async start(): Promise<ProjectorFixture> {
    const [database, nats] = await Promise.all([createTestDatabase(), startNats()]);
    const prisma = createPrisma({ ...database.settings, maxConns: 10 }, { name: 'test' });
    return new ProjectorFixture(prisma, database.url, nats, connectNats({ url: nats.url }, { name: 'test-reader' }));
  }

  /** Starts a projector; the same as one more replica of the admin API. */
  projector(over: Partial<ProjectorOptions> = {}): Projector {
    const client = connectNats({ url: this.nats.url }, { name: 'test' });
    const { config } = loadConfig({ sections: ['rate_limits', 'budgets', 'reporting'], env: {}, cwd: '/nonexistent' });
    const projector = new Projector({
      prisma: this.prisma,
      nats: client,
      database: { url: this.databaseUrl },
      replicas: 1,
      settings: { config, ring: RING, shared: {} },
      logger: createLogger({ service: 'test', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) }),
      metrics: new Metrics({ service: 'test', version: '0' }, { runtime: false }),
      ...over,
    });
    this.opened.push({ projector, client });
    projector.start();
    return projector;
  }

  /** The document under a key, undefined when there is none. */
  async document(key: string): Promise<any> {
    const bucket = await ConfigBucket.open(await this.reader.connected(), 1);
    const { value } = await bucket.read(key);
    return value && JSON.parse(value.toString('utf8'));
  }

  async revision(key: string): Promise<number> {
    return (await (await ConfigBucket.open(await this.reader.connected(), 1)).read(key)).revision;
  }

  async bucket(): Promise<ConfigBucket> {
    return ConfigBucket.open(await this.reader.connected(), 1);
  }

  /** Until the outbox is empty. */
  settled(): Promise<unknown> {
    return waitFor(async () => (await this.prisma.configOutbox.count()) === 0);
  }

  async tenant(name = `t-${randomBytes(4).toString('hex')}`): Promise<string> {
    return (await this.prisma.tenant.create({ data: { id: newId(), name } })).id;
  }

  async key(tenantId: string, prefix = randomBytes(5).toString('hex')): Promise<string> {
    await this.prisma.apiKey.create({ data: { id: newId(), tenantId, prefix, name: 'k', secretDigest: randomBytes(32), lastFour: 'abcd' } });
    return prefix;
  }

  async close(): Promise<void> {
    for (const { projector, client } of this.opened) {
      await projector.stop();
      await client.close().catch(() => undefined);
    }
    await this.reader.close().catch(() => undefined);
    await this.prisma.$disconnect();
  }
}

export const keyName = (prefix: string): string => `key.${kvToken(prefix)}`;
export const modelName = (alias: string): string => `model.${kvToken(alias)}`;
