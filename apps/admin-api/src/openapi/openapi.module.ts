import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { buildOpenapiDocument } from './openapi-document.js';
import { OpenapiController } from './openapi.controller.js';
import { OPENAPI_SOURCE } from './openapi.tokens.js';

@Module({})
export class OpenapiModule {
  /** Serves the document of `app`, which is named by a function because it imports this module itself. */
  static describing(app: () => Type<unknown>): DynamicModule {
    return { module: OpenapiModule, controllers: [OpenapiController], providers: [{ provide: OPENAPI_SOURCE, useValue: () => buildOpenapiDocument(app()) }] };
  }
}
