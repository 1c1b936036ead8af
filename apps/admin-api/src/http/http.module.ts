import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, DiscoveryModule } from '@nestjs/core';
import { ErrorFilter } from './error.filter.js';
import { KnownQueryInterceptor } from './known-query.interceptor.js';
import { PermissionGuard } from './permission.guard.js';
import { RouteRules } from './route-rules.js';
import { ZodValidationPipe } from './validation.pipe.js';

/** What stands in front of every route: credential and permission, validation, and the form of errors. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    RouteRules,
    { provide: APP_GUARD, useClass: PermissionGuard },
    { provide: APP_INTERCEPTOR, useClass: KnownQueryInterceptor },
    { provide: APP_PIPE, useClass: ZodValidationPipe },
    { provide: APP_FILTER, useClass: ErrorFilter },
  ],
  exports: [RouteRules],
})
export class HttpModule {}
