import { Controller, Get, Header, Inject } from '@nestjs/common';
import { ApiExcludeController, type OpenAPIObject } from '@nestjs/swagger';
import { Permission } from '../http/permission.js';
import { renderDocsPage } from './docs-page.js';
import { OPENAPI_SOURCE } from './openapi.tokens.js';

/** The document tells nothing that the public repository does not: it is public, and excluded from itself. */
@ApiExcludeController()
@Controller('admin')
export class OpenapiController {
  private built: Promise<OpenAPIObject> | undefined;

  constructor(@Inject(OPENAPI_SOURCE) private readonly source: () => Promise<OpenAPIObject>) {}

  @Get('openapi.json')
  @Permission('public')
  document(): Promise<OpenAPIObject> {
    return (this.built ??= this.source());
  }

  @Get('docs')
  @Permission('public')
  @Header('content-type', 'text/html; charset=utf-8')
  async page(): Promise<string> {
    return renderDocsPage(await this.document());
  }
}
