import { Body, Controller, Delete, Get, Inject, Param, Post } from '@nestjs/common';
import { AdminError, defaultModelSchema, modelListSchema, text } from '@omg/contracts';
import type { PrismaClient, PrismaTx } from '@omg/database';
import { audit } from '../audit/audit.js';
import { actorOf } from '../http/actor.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { PRISMA } from '../http/tokens.js';
import { knownModels } from '../model-catalog/model-catalog.queries.js';

const aliasSchema = text(128);

/** Models of every personal tenant. They are read live, so a change here reaches all of them at once. */
@Controller('admin/settings/default-models')
export class DefaultModelsController {
  constructor(@Inject(PRISMA) private readonly prisma: PrismaClient) {}

  @Get()
  @Permission('any:viewer')
  @Returns(modelListSchema, { summary: 'List the models of personal tenants' })
  async list() {
    const rows = await this.prisma.defaultModel.findMany({ include: { alias: { select: { alias: true } } }, orderBy: { aliasKey: 'asc' } });
    return { models: rows.map((row) => row.alias.alias) };
  }

  @Post()
  @Permission('super_admin')
  @Returns(defaultModelSchema, { status: 201, summary: 'Give personal tenants a model' })
  add(@Caller() caller: Principal, @Body({ schema: defaultModelSchema }) body: Parsed<typeof defaultModelSchema>) {
    return this.prisma.$transaction(async (tx) => {
      const [model] = await knownModels(tx, [body.alias.toLowerCase()]);
      if (!model) throw new AdminError('invalid_request', { message: 'alias: is not in the model catalog' });
      const { count } = await tx.defaultModel.createMany({ data: [{ aliasKey: model.key }], skipDuplicates: true });
      if (count > 0) await this.audit(tx, caller, 'default_model.add', model.alias);
      return { alias: model.alias };
    });
  }

  @Delete(':alias')
  @Permission('super_admin')
  @Returns(undefined, { summary: 'Take a model from personal tenants' })
  async remove(@Caller() caller: Principal, @Param('alias', { schema: aliasSchema }) alias: string): Promise<void> {
    await this.prisma.$transaction(async (tx) => {
      const { count } = await tx.defaultModel.deleteMany({ where: { aliasKey: alias.toLowerCase() } });
      if (count === 0) throw new AdminError('not_found', { message: 'This is no default model.' });
      await this.audit(tx, caller, 'default_model.remove', alias);
    });
  }

  private audit(tx: PrismaTx, caller: Principal, action: string, alias: string): Promise<void> {
    return audit(tx, { actor: actorOf(caller), action, resource: 'default_model', resourceId: alias });
  }
}
