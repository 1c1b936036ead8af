import { Module } from '@nestjs/common';
import { OpenapiController } from './openapi.controller.js';
import { OPENAPI_SOURCE } from './openapi.tokens.js';

/** The document describes the whole app, which is imported when it is asked for: here it would be a circle. */
const source = async () => {
  const { buildAppDocument } = await import('./app-document.js');
  return buildAppDocument();
};

@Module({ controllers: [OpenapiController], providers: [{ provide: OPENAPI_SOURCE, useValue: source }] })
export class OpenapiModule {}
