import { Controller, Get, Inject, Redirect, Res } from '@nestjs/common';
import { ApiExcludeController, type OpenAPIObject } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { pageHeaders } from '../http/page.js';
import { Permission } from '../http/permission.js';
import { renderDocsPage } from './docs-page.js';
import { OPENAPI_SOURCE } from './openapi.tokens.js';

/** The document tells nothing that the public repository does not: it is public, and excluded from itself. */
@ApiExcludeController()
@Controller()
export class OpenapiController {
  private built: Promise<OpenAPIObject> | undefined;

  constructor(@Inject(OPENAPI_SOURCE) private readonly source: () => Promise<OpenAPIObject>) {}

  @Get('admin/openapi.json')
  @Permission('public')
  document(): Promise<OpenAPIObject> {
    return (this.built ??= this.source());
  }

  @Get('admin/docs')
  @Permission('public')
  async page(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    pageHeaders(reply);
    return renderDocsPage(await this.document());
  }

  /** Whoever opens the address that the start printed sees what there is. */
  @Get(['', 'admin'])
  @Permission('public')
  @Redirect('/admin/docs', 302)
  root(): void {}
}
