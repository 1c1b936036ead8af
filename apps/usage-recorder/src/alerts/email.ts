import { errorClass } from '@omg/service-kit';
import { createTransport } from 'nodemailer';
import type { AlertTransport } from '../budgets/budget-rules.js';
import { delivered, failed, type SendResult } from './send.js';

export interface AlertMail {
  to: string;
  level: string;
  tenantName: string;
  payload: Record<string, unknown>;
}

const IMPLICIT_TLS_PORT = 465;

/** One mail by SMTP. With `useTls`, a server that offers no STARTTLS gets nothing. The whole delivery has one deadline. */
export async function sendMail(smtp: AlertTransport['smtp'], password: string, mail: AlertMail): Promise<SendResult> {
  if (smtp.host === '' || smtp.from === '') return failed('no mail server configured', false);
  const { host, port, timeoutMs } = smtp;
  const implicitTls = port === IMPLICIT_TLS_PORT;
  const transport = createTransport({
    host,
    port,
    secure: implicitTls,
    requireTLS: smtp.useTls && !implicitTls,
    ignoreTLS: !smtp.useTls && !implicitTls,
    tls: { rejectUnauthorized: !smtp.skipTlsVerify },
    ...(smtp.username === '' ? {} : { auth: { user: smtp.username, pass: password } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<SendResult>((resolve) => {
    timer = setTimeout(() => resolve(failed('timeout', true)), timeoutMs);
  });
  try {
    const sending = transport.sendMail({ from: smtp.from, to: mail.to, subject: subjectOf(mail), text: textOf(mail.payload) });
    return await Promise.race([sending.then(() => delivered, resultOfError), late]);
  } finally {
    clearTimeout(timer);
    transport.close();
  }
}

function subjectOf({ level, tenantName }: AlertMail): string {
  return `[Budget ${level.toUpperCase()}] Tenant ${tenantName}`;
}

function textOf(payload: Record<string, unknown>): string {
  const window = payload['window'] as { start: string; end: string };
  const usd = (cents: unknown): string => (Number(cents) / 100).toFixed(2);
  return [
    `Tenant:    ${String(payload['tenant_name'])} (${String(payload['tenant_id'])})`,
    `Level:     ${String(payload['level'])}`,
    `Spent:     ${usd(payload['total_cost_cents'])} USD of ${usd(payload['limit_cents'])} USD`,
    `Window:    ${window.start} to ${window.end}`,
    `API key:   ${String(payload['api_key_prefix'] ?? '-')}`,
    `Model:     ${String(payload['model_alias'] ?? '-')}`,
    `Time:      ${String(payload['timestamp'])}`,
    `Alert:     ${String(payload['event_id'])}`,
    '',
  ].join('\n');
}

/** 5xx answers are final, 4xx ("try later") and broken connections are not. */
function resultOfError(error: unknown): SendResult {
  const { responseCode, code } = error as { responseCode?: number; code?: string };
  if (code === 'EAUTH') return failed('authentication refused', false);
  if (code === 'ETLS') return failed('TLS refused', false);
  if (code === 'EENVELOPE' && responseCode === undefined) return failed('address refused', false);
  if (responseCode !== undefined) return failed(`status ${responseCode}`, responseCode < 500);
  return failed(errorClass(error), true);
}
