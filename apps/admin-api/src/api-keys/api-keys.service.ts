import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type createApiKeySchema, type updateApiKeySchema } from '@omg/contracts';
import { hashApiKeySecret } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import { requireVersion } from '../http/if-match.js';
import type { Parsed } from '../http/paging.js';
import { visibleTenantIds, type Principal } from '../http/principal.js';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';
import { newId } from '../new-id.js';
import { lockTenant } from '../tenants/tenant-lock.js';
import { databaseNow } from '../database-now.js';
import { apiKeyAudit, apiKeyBody, WITH_TENANT, type ApiKeyRow } from './api-key-body.js';
import { ApiKeyTerms } from './api-key-terms.js';
import { PREFIX_CHARS, randomText, SECRET_CHARS } from './secrets.js';

const KEYS_MAX = 10_000;

/** Virtual keys of tenants. Only a digest of the secret is stored; secret and token leave once, where they are made. */
@Injectable()
export class ApiKeysService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'secrets' | 'reporting'>,
    private readonly terms: ApiKeyTerms,
  ) {}

  async list(tenantId: string) {
    return this.listWhere([tenantId]);
  }

  async listVisible(caller: Principal) {
    return this.listWhere(visibleTenantIds(caller, 'admin'));
  }

  async read(tenantId: string, keyId: string) {
    return this.body(this.prisma, await findKey(this.prisma, tenantId, keyId));
  }

  async create(caller: Principal, tenantId: string, input: Parsed<typeof createApiKeySchema>) {
    const secret = randomText(SECRET_CHARS);
    return this.prisma.$transaction(async (tx) => {
      const tenant = await lockTenant(tx, tenantId);
      const frame = (await this.terms.frames(tx, [tenantId])).get(tenantId)!;
      const row = await tx.apiKey.create({
        data: {
          id: newId(),
          tenantId,
          // A personal key belongs to its maker; an organization's key to nobody, so that it outlives him.
          ownerUserId: tenant.kind === 'personal' ? caller.userId : null,
          prefix: randomText(PREFIX_CHARS),
          secretDigest: this.digest(secret),
          lastFour: secret.slice(-4),
          name: input.name,
          scopes: input.scopes,
          expiresAt: expiry(input.expires_at),
          ...this.terms.columns(input, frame),
        },
        include: WITH_TENANT,
      });
      const body = await this.body(tx, row);
      await this.audit(tx, caller, row, 'api_key.create', { metadata: { tenant_id: tenantId, prefix: row.prefix }, after: apiKeyAudit(row) });
      return issued(body, secret);
    });
  }

  async update(caller: Principal, tenantId: string, keyId: string, input: Parsed<typeof updateApiKeySchema>, ifMatch?: string) {
    return this.prisma.$transaction(async (tx) => {
      const before = await this.lockKey(tx, tenantId, keyId, ifMatch);
      if (before.revokedAt) throw new AdminError('conflict', { message: 'The key is revoked.' });
      const frame = (await this.terms.frames(tx, [tenantId])).get(tenantId)!;
      const row = await tx.apiKey.update({
        where: { id: keyId },
        data: {
          ...(input.name !== undefined && { name: input.name }),
          ...(input.scopes !== undefined && { scopes: input.scopes }),
          ...(input.expires_at !== undefined && { expiresAt: expiry(input.expires_at) }),
          ...this.terms.columns(input, frame),
          version: { increment: 1 },
        },
        include: WITH_TENANT,
      });
      const body = await this.body(tx, row);
      await this.audit(tx, caller, row, 'api_key.update', {
        metadata: { tenant_id: tenantId, prefix: row.prefix },
        before: apiKeyAudit(before),
        after: apiKeyAudit(row),
      });
      return body;
    });
  }

  /** A new secret under the same prefix; the old one works for `graceSeconds` more. An older one of a rotation before ends now. */
  async rotate(caller: Principal, tenantId: string, keyId: string, graceSeconds: number, ifMatch?: string) {
    const secret = randomText(SECRET_CHARS);
    return this.prisma.$transaction(async (tx) => {
      const before = await this.lockKey(tx, tenantId, keyId, ifMatch);
      if (before.revokedAt) throw new AdminError('conflict', { message: 'The key is revoked.' });
      const row = await tx.apiKey.update({
        where: { id: keyId },
        data: {
          secretDigest: this.digest(secret),
          lastFour: secret.slice(-4),
          previousDigest: graceSeconds > 0 ? Uint8Array.from(before.secretDigest) : null,
          previousValidUntil: graceSeconds > 0 ? new Date((await databaseNow(tx)).getTime() + graceSeconds * 1000) : null,
          version: { increment: 1 },
        },
        include: WITH_TENANT,
      });
      const body = await this.body(tx, row);
      await this.audit(tx, caller, row, 'api_key.rotate', { metadata: { tenant_id: tenantId, prefix: row.prefix, grace_seconds: graceSeconds } });
      return issued(body, secret);
    });
  }

  /** Idempotent: a second call answers the same and writes nothing. */
  async revoke(caller: Principal, tenantId: string, keyId: string) {
    return this.prisma.$transaction(async (tx) => {
      const before = await this.lockKey(tx, tenantId, keyId);
      if (before.revokedAt) return this.body(tx, before);
      const row = await tx.apiKey.update({
        where: { id: keyId },
        data: { revokedAt: await databaseNow(tx), previousDigest: null, previousValidUntil: null, version: { increment: 1 } },
        include: WITH_TENANT,
      });
      const body = await this.body(tx, row);
      await this.audit(tx, caller, row, 'api_key.revoke', { metadata: { tenant_id: tenantId, prefix: row.prefix } });
      return body;
    });
  }

  private async listWhere(tenantIds: string[] | undefined) {
    const rows = await this.prisma.apiKey.findMany({
      where: tenantIds ? { tenantId: { in: tenantIds } } : {},
      include: WITH_TENANT,
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      take: KEYS_MAX,
    });
    const frames = await this.terms.frames(
      this.prisma,
      rows.map((row) => row.tenantId),
    );
    const now = Date.now();
    return { api_keys: rows.map((row) => apiKeyBody(row, frames.get(row.tenantId)!, now)), timezone: this.config.reporting.timezone };
  }

  private async body(tx: PrismaTx, row: ApiKeyRow) {
    const frames = await this.terms.frames(tx, [row.tenantId]);
    return apiKeyBody(row, frames.get(row.tenantId)!, Date.now());
  }

  /** The tenant first: a key of another tenant is "not found" before anything is touched. */
  private async lockKey(tx: PrismaTx, tenantId: string, keyId: string, ifMatch?: string): Promise<ApiKeyRow> {
    await tx.$executeRaw`SELECT 1 FROM api_keys WHERE id = ${keyId}::uuid AND tenant_id = ${tenantId}::uuid FOR UPDATE`;
    const row = await findKey(tx, tenantId, keyId);
    requireVersion(ifMatch, row.version);
    return row;
  }

  private digest(secret: string): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(hashApiKeySecret(this.config.secrets.apiKeyPepper, secret));
  }

  private audit(tx: PrismaTx, caller: Principal, row: ApiKeyRow, action: string, detail: { metadata: object; before?: object; after?: object }): Promise<void> {
    return audit(tx, { actor: actorOf(caller), action, resource: 'api_key', resourceId: row.id, tenantId: row.tenantId, ...detail });
  }
}

async function findKey(tx: PrismaTx, tenantId: string, keyId: string): Promise<ApiKeyRow> {
  const row = await tx.apiKey.findFirst({ where: { id: keyId, tenantId }, include: WITH_TENANT });
  if (!row) throw new AdminError('not_found', { message: 'The key does not exist.' });
  return row;
}

function expiry(text: string | null | undefined): Date | null {
  if (text == null) return null;
  const date = new Date(text);
  if (date.getTime() <= Date.now()) throw new AdminError('invalid_request', { message: 'expires_at: must be in the future' });
  return date;
}

function issued(apiKey: ReturnType<typeof apiKeyBody>, secret: string) {
  return { api_key: apiKey, secret, token: `sk-${apiKey.prefix}.${secret}` };
}
