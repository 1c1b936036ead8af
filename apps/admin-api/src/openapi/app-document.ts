import type { OpenAPIObject } from '@nestjs/swagger';
import { AppModule } from '../app.module.js';
import { buildOpenapiDocument } from './openapi-document.js';

/** The document of the whole app. */
export function buildAppDocument(): Promise<OpenAPIObject> {
  return buildOpenapiDocument(AppModule);
}
