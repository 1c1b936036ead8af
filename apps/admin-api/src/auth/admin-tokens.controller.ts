import { Body, Controller, Delete, Get, Param, Post, Query } from '@nestjs/common';
import { adminTokenListSchema, createAdminTokenSchema, createdAdminTokenSchema, listAdminTokensQuerySchema, uuidSchema } from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { AdminTokensService } from './admin-tokens.service.js';

@Controller('admin/tokens')
export class AdminTokensController {
  constructor(private readonly tokens: AdminTokensService) {}

  @Get()
  @Permission('signed_in')
  @Returns(adminTokenListSchema, { summary: 'List admin API tokens' })
  list(@Caller() caller: Principal, @Query({ schema: listAdminTokensQuerySchema }) query: Parsed<typeof listAdminTokensQuerySchema>) {
    return this.tokens.list(caller, query);
  }

  @Post()
  @Permission('signed_in')
  @Returns(createdAdminTokenSchema, { status: 201, summary: 'Make an admin API token; its text is shown once' })
  create(@Caller() caller: Principal, @Body({ schema: createAdminTokenSchema }) body: Parsed<typeof createAdminTokenSchema>) {
    return this.tokens.create(caller, body);
  }

  @Delete(':tokenId')
  @Permission('signed_in')
  @Returns(undefined, { summary: 'Revoke an admin API token' })
  async revoke(@Caller() caller: Principal, @Param('tokenId', { schema: uuidSchema }) tokenId: string): Promise<void> {
    await this.tokens.revoke(caller, tokenId);
  }
}
