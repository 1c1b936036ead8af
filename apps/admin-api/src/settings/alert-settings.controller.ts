import { Body, Controller, Get, Headers, Inject, Post, Put } from '@nestjs/common';
import { alertSettingsInputSchema, alertSettingsSchema, SETTING_KEYS, testEmailSchema, type AlertTransportSetting } from '@omg/contracts';
import { sealedContext } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient } from '@omg/database';
import { audit } from '../audit/audit.js';
import type { CatalogContext } from '../config.js';
import { actorOf } from '../http/actor.js';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { ADMIN_CONFIG, CATALOG_CONTEXT, PRISMA } from '../http/tokens.js';
import { alertTransport, type AlertTransport } from './alert-settings.js';
import { isMasked, maskSecret } from './mask.js';
import { lockSetting, saveSetting } from './save-setting.js';
import { sendTestMail } from './test-mail.js';

/** Mail server and webhook behaviour of alerts; the recorder reads them for each delivery. */
@Controller('admin/settings/alerts')
export class AlertSettingsController {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'budgets'>,
    @Inject(CATALOG_CONTEXT) private readonly context: CatalogContext,
  ) {}

  @Get()
  @Permission('super_admin')
  @Returns(alertSettingsSchema, { summary: 'Show how alerts travel; the password is masked' })
  async read() {
    return body(await alertTransport(this.prisma, this.config, this.context.ring));
  }

  @Put()
  @Permission('super_admin')
  @Returns(alertSettingsSchema, { summary: 'Change how alerts travel; effective at once' })
  put(
    @Caller() caller: Principal,
    @Body({ schema: alertSettingsInputSchema }) input: Parsed<typeof alertSettingsInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.prisma.$transaction(async (tx) => {
      await lockSetting(tx, SETTING_KEYS.alerts);
      const before = await alertTransport(tx, this.config, this.context.ring);
      const { password: sent, ...smtp } = input.smtp;
      const password = sent === null ? '' : sent === undefined || sent === '' || isMasked(sent) ? before.smtp.password : sent;
      const value: AlertTransportSetting = {
        smtp: {
          host: smtp.host,
          port: smtp.port,
          username: smtp.username,
          from: smtp.from,
          useTls: smtp.use_tls,
          skipTlsVerify: smtp.skip_tls_verify,
          connectTimeoutSeconds: smtp.connect_timeout_seconds,
          sealedPassword: password === '' ? '' : this.context.ring.seal(password, sealedContext.smtpPassword),
        },
        webhook: { timeoutSeconds: input.webhook.timeout_seconds, maxRetries: input.webhook.max_retries },
      };
      await saveSetting(tx, caller, SETTING_KEYS.alerts, value, ifMatch);
      const after = await alertTransport(tx, this.config, this.context.ring);
      await audit(tx, {
        actor: actorOf(caller),
        action: 'settings.alerts.update',
        resource: 'settings',
        resourceId: 'alerts',
        before: auditBody(before),
        after: { ...auditBody(after), password_changed: after.smtp.password !== before.smtp.password },
      });
      return body(after);
    });
  }

  @Post('test-email')
  @Permission('super_admin')
  @Returns(undefined, { summary: 'Send a mail with the settings in force' })
  async test(@Caller() caller: Principal, @Body({ schema: testEmailSchema }) { email }: Parsed<typeof testEmailSchema>): Promise<void> {
    const { smtp } = await alertTransport(this.prisma, this.config, this.context.ring);
    await sendTestMail(smtp, email);
    await this.prisma.$transaction((tx) =>
      audit(tx, { actor: actorOf(caller), action: 'settings.alerts.test', resource: 'settings', resourceId: 'alerts', metadata: { email } }),
    );
  }
}

function body({ smtp, webhook, version }: AlertTransport) {
  return {
    smtp: {
      host: smtp.host,
      port: smtp.port,
      username: smtp.username,
      password: maskSecret(smtp.password),
      from: smtp.from,
      use_tls: smtp.useTls,
      skip_tls_verify: smtp.skipTlsVerify,
      connect_timeout_seconds: smtp.connectTimeoutSeconds,
    },
    webhook: { timeout_seconds: webhook.timeoutSeconds, max_retries: webhook.maxRetries },
    version,
  };
}

/** Flat and without the password. */
function auditBody(transport: AlertTransport) {
  const { smtp, webhook } = body(transport);
  const { password: _password, ...rest } = smtp;
  return { ...rest, webhook_timeout_seconds: webhook.timeout_seconds, webhook_max_retries: webhook.max_retries };
}
