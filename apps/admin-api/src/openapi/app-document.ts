import { Module } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import { AppModule } from '../app.module.js';
import * as tokens from '../http/tokens.js';
import { buildOpenapiDocument } from './openapi-document.js';

@Module({})
class NoResourcesModule {}

/** The document of the whole app. Preview mode builds no provider: what the app opens at its start only has to be named. */
export function buildAppDocument(): Promise<OpenAPIObject> {
  const names = Object.values(tokens);
  const resources = { module: NoResourcesModule, global: true, providers: names.map((provide) => ({ provide, useValue: null })), exports: names };
  return buildOpenapiDocument({ module: AppModule, imports: [resources] });
}
