import { alertTransportSettingSchema, SETTING_KEYS, type AlertTransportSetting } from '@omg/contracts';
import { sealedContext, type KeyRing } from '@omg/domain';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaTx } from '@omg/database';

/** How alerts travel, password opened. */
export interface AlertTransport {
  smtp: Omit<AlertTransportSetting['smtp'], 'sealedPassword'> & { password: string };
  webhook: AlertTransportSetting['webhook'];
  /** 0: the configuration file's. */
  version: number;
}

export async function alertTransport(tx: PrismaTx, { budgets }: ConfigOf<'budgets'>, ring: KeyRing): Promise<AlertTransport> {
  const row = await tx.setting.findUnique({ where: { key: SETTING_KEYS.alerts } });
  if (row) {
    const { smtp, webhook } = alertTransportSettingSchema.parse(row.value);
    const { sealedPassword, ...rest } = smtp;
    return { smtp: { ...rest, password: sealedPassword === '' ? '' : ring.open(sealedPassword, sealedContext.smtpPassword) }, webhook, version: row.version };
  }
  const { smtp, webhook } = budgets.alert;
  const { host, port, username, password, from, useTls, skipTlsVerify, connectTimeoutMs } = smtp;
  return {
    smtp: { host, port, username, password, from, useTls, skipTlsVerify, connectTimeoutSeconds: connectTimeoutMs / 1000 },
    webhook: { timeoutSeconds: webhook.timeoutMs / 1000, maxRetries: webhook.maxRetries },
    version: 0,
  };
}
