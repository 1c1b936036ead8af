import { Body, Controller, Get, Headers, Inject, Put } from '@nestjs/common';
import { batchSettingsInputSchema, batchSettingsSchema, fileSettingsInputSchema, fileSettingsSchema } from '@omg/contracts';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { z } from 'zod';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { PRISMA } from '../http/tokens.js';
import { lockSetting, saveSetting } from './save-setting.js';

const WEEK_SECONDS = 604_800;
const DAYS_30_SECONDS = 2_592_000;

/** A settings document with what counts until it is changed. */
interface Stored<T extends object> {
  key: 'files' | 'batches';
  schema: z.ZodType<T>;
  initial: T;
}

const FILES: Stored<Parsed<typeof fileSettingsInputSchema>> = {
  key: 'files',
  schema: fileSettingsInputSchema,
  initial: { max_size_mb: 200, default_ttl_seconds: WEEK_SECONDS, max_ttl_seconds: DAYS_30_SECONDS },
};
const BATCHES: Stored<Parsed<typeof batchSettingsInputSchema>> = {
  key: 'batches',
  schema: batchSettingsInputSchema,
  initial: { max_requests: 5_000, max_concurrency: 50, default_ttl_seconds: WEEK_SECONDS, max_ttl_seconds: DAYS_30_SECONDS },
};

/**
 * Limits of files and batches as operators want them. This gateway serves neither yet: the documents are kept, checked and
 * audited for the service that will read them, and have no effect until then.
 */
@Controller('admin/settings')
export class StoredLimitsController {
  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  @Get('files')
  @Permission('super_admin')
  @Returns(fileSettingsSchema, { summary: 'Show the limits of files (kept for later: this gateway serves no files yet)' })
  readFiles() {
    return read(this.prisma, FILES);
  }

  @Put('files')
  @Permission('super_admin')
  @Returns(fileSettingsSchema, { summary: 'Change the limits of files' })
  putFiles(
    @Caller() caller: Principal,
    @Body({ schema: fileSettingsInputSchema }) body: Parsed<typeof fileSettingsInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.put(FILES, caller, body, ifMatch);
  }

  @Get('batches')
  @Permission('super_admin')
  @Returns(batchSettingsSchema, { summary: 'Show the limits of batches (kept for later: this gateway serves no batches yet)' })
  readBatches() {
    return read(this.prisma, BATCHES);
  }

  @Put('batches')
  @Permission('super_admin')
  @Returns(batchSettingsSchema, { summary: 'Change the limits of batches' })
  putBatches(
    @Caller() caller: Principal,
    @Body({ schema: batchSettingsInputSchema }) body: Parsed<typeof batchSettingsInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.put(BATCHES, caller, body, ifMatch);
  }

  private put<T extends object>(stored: Stored<T>, caller: Principal, value: T, ifMatch: string | undefined) {
    return this.prisma.$transaction(async (tx) => {
      await lockSetting(tx, stored.key);
      const { version: _version, ...before } = await read(tx, stored);
      await saveSetting(tx, caller, stored.key, value, ifMatch);
      const body = await read(tx, stored);
      await audit(tx, {
        actor: actorOf(caller),
        action: `settings.${stored.key}.update`,
        resource: 'settings',
        resourceId: stored.key,
        metadata: value,
        before,
        after: value,
      });
      return body;
    });
  }
}

async function read<T extends object>(tx: PrismaTx, { key, schema, initial }: Stored<T>): Promise<T & { version: number }> {
  const row = await tx.setting.findUnique({ where: { key } });
  return row ? { ...schema.parse(row.value), version: row.version } : { ...initial, version: 0 };
}
