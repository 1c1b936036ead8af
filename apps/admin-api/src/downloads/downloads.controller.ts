import { Body, Controller, Post } from '@nestjs/common';
import { DOWNLOAD_TOKEN_PARAM, downloadLinkRequestSchema, downloadLinkSchema } from '@omg/contracts';
import { TokenService } from '../auth/token.service.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { RouteRules } from '../http/route-rules.js';
import { newId } from '../new-id.js';
import { downloadTarget } from './download-target.js';

@Controller('admin/downloads')
export class DownloadsController {
  constructor(
    private readonly tokens: TokenService,
    private readonly routes: RouteRules,
  ) {}

  /** What the caller may read is decided when the link is used, as for every other call. */
  @Post()
  @Permission('signed_in')
  @Returns(downloadLinkSchema, { status: 201, summary: 'Make a link that downloads a report as CSV without a header, for a minute' })
  create(@Caller() caller: Principal, @Body({ schema: downloadLinkRequestSchema }) body: Parsed<typeof downloadLinkRequestSchema>) {
    const target = downloadTarget(
      body.path,
      this.routes.list().filter(({ csv }) => csv),
    );
    const { token, expiresAt } = this.tokens.download(caller, target, newId(), Date.now());
    return { url: `${target}&${DOWNLOAD_TOKEN_PARAM}=${token}`, expires_at: expiresAt.toISOString() };
  }
}
