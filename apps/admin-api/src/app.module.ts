import { Module, type DynamicModule } from '@nestjs/common';
import { KeyRing } from '@omg/domain';
import type { Logger } from '@omg/service-kit';
import type { PrismaClient } from '@omg/database';
import type { NatsClient, RedisClient } from '@omg/storage';
import { AlertsModule } from './alerts/alerts.module.js';
import { ApiKeysModule } from './api-keys/api-keys.module.js';
import { AuditModule } from './audit/audit.module.js';
import { AuthModule } from './auth/auth.module.js';
import { BudgetsModule } from './budgets/budgets.module.js';
import type { SharedCredentials } from '@omg/providers';
import type { AdminConfig } from './config.js';
import { DownloadsModule } from './downloads/downloads.module.js';
import { HttpModule } from './http/http.module.js';
import { ADMIN_CONFIG, CATALOG_CONTEXT, LOGGER, NATS, PRISMA, REDIS } from './http/tokens.js';
import { MembershipsModule } from './memberships/memberships.module.js';
import { ModelCatalogModule } from './model-catalog/model-catalog.module.js';
import { OpenapiModule } from './openapi/openapi.module.js';
import { SettingsModule } from './settings/settings.module.js';
import { TenantsModule } from './tenants/tenants.module.js';
import { UsageModule } from './usage/usage.module.js';
import { UsersModule } from './users/users.module.js';

/** What the service opened before Nest wires the app; the service closes it again. */
export interface AdminResources {
  config: AdminConfig;
  /** Of `providers.*`; changes in place when the configuration is read again. */
  shared: SharedCredentials;
  logger: Logger;
  prisma: PrismaClient;
  redis: RedisClient;
  nats: NatsClient;
}

/** Every resource of the admin API; a new one is a line here. */
export const FEATURES = [
  HttpModule,
  AuthModule,
  UsersModule,
  MembershipsModule,
  ModelCatalogModule,
  AuditModule,
  AlertsModule,
  ApiKeysModule,
  BudgetsModule,
  DownloadsModule,
  SettingsModule,
  TenantsModule,
  UsageModule,
  OpenapiModule.describing(() => AppModule),
];

@Module({})
class ResourcesModule {}

@Module({ imports: FEATURES })
export class AppModule {
  static with(resources: AdminResources): DynamicModule {
    const { config, shared, logger, prisma, redis, nats } = resources;
    const providers = [
      { provide: ADMIN_CONFIG, useValue: config },
      { provide: LOGGER, useValue: logger },
      { provide: PRISMA, useValue: prisma },
      { provide: REDIS, useValue: redis },
      { provide: NATS, useValue: nats },
      { provide: CATALOG_CONTEXT, useValue: { ring: new KeyRing(config.secrets.encryptionKeys), shared } },
    ];
    return { module: AppModule, imports: [{ module: ResourcesModule, global: true, providers, exports: providers.map((provider) => provider.provide) }] };
  }
}
