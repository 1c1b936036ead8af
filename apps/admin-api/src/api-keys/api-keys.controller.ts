import { Body, Controller, Delete, Get, Headers, Param, Patch, Post } from '@nestjs/common';
import { apiKeyListSchema, apiKeySchema, createApiKeySchema, issuedApiKeySchema, rotateApiKeySchema, updateApiKeySchema, uuidSchema } from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { ApiKeysService } from './api-keys.service.js';

@Controller('admin')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  @Get('api-keys')
  @Permission('any:admin')
  @Returns(apiKeyListSchema, { summary: 'List the API keys of all tenants that the caller administers, newest first' })
  listVisible(@Caller() caller: Principal) {
    return this.keys.listVisible(caller);
  }

  @Get('tenants/:tenantId/api-keys')
  @Permission('tenant:viewer')
  @Returns(apiKeyListSchema, { summary: 'List the API keys of a tenant, newest first' })
  list(@Param('tenantId', { schema: uuidSchema }) tenantId: string) {
    return this.keys.list(tenantId);
  }

  @Get('tenants/:tenantId/api-keys/:keyId')
  @Permission('tenant:viewer')
  @Returns(apiKeySchema, { summary: 'Show an API key' })
  read(@Param('tenantId', { schema: uuidSchema }) tenantId: string, @Param('keyId', { schema: uuidSchema }) keyId: string) {
    return this.keys.read(tenantId, keyId);
  }

  @Post('tenants/:tenantId/api-keys')
  @Permission('tenant:admin')
  @Returns(issuedApiKeySchema, { status: 201, summary: 'Make an API key; its secret is shown this once' })
  create(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Body({ schema: createApiKeySchema }) body: Parsed<typeof createApiKeySchema>,
  ) {
    return this.keys.create(caller, tenantId, body);
  }

  @Patch('tenants/:tenantId/api-keys/:keyId')
  @Permission('tenant:admin')
  @Returns(apiKeySchema, { summary: 'Change name, scopes, quota, limits or expiry of an API key' })
  update(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Param('keyId', { schema: uuidSchema }) keyId: string,
    @Body({ schema: updateApiKeySchema }) body: Parsed<typeof updateApiKeySchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.keys.update(caller, tenantId, keyId, body, ifMatch);
  }

  @Post('tenants/:tenantId/api-keys/:keyId/rotate')
  @Permission('tenant:admin')
  @Returns(issuedApiKeySchema, { summary: 'Give an API key a new secret; the old one works for a grace period' })
  rotate(
    @Caller() caller: Principal,
    @Param('tenantId', { schema: uuidSchema }) tenantId: string,
    @Param('keyId', { schema: uuidSchema }) keyId: string,
    @Body({ schema: rotateApiKeySchema }) body: Parsed<typeof rotateApiKeySchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.keys.rotate(caller, tenantId, keyId, body.grace_seconds, ifMatch);
  }

  @Delete('tenants/:tenantId/api-keys/:keyId')
  @Permission('tenant:admin')
  @Returns(apiKeySchema, { summary: 'Revoke an API key for good' })
  revoke(@Caller() caller: Principal, @Param('tenantId', { schema: uuidSchema }) tenantId: string, @Param('keyId', { schema: uuidSchema }) keyId: string) {
    return this.keys.revoke(caller, tenantId, keyId);
  }
}
