import { AdminError } from '@omg/contracts';
import { DeadlineError, errorClass, withDeadline } from '@omg/service-kit';
import { createTransport } from 'nodemailer';
import type { AlertTransport } from './alert-settings.js';

const TIMEOUT_DEFAULT_SECONDS = 5;
const IMPLICIT_TLS_PORT = 465;

/** Sends one mail with the settings in force. 400 without a mail server, 502 with the class of the failure otherwise. */
export async function sendTestMail(smtp: AlertTransport['smtp'], to: string): Promise<void> {
  if (smtp.host === '') throw new AdminError('invalid_request', { message: 'No mail server is configured.' });
  const timeoutMs = (smtp.connectTimeoutSeconds || TIMEOUT_DEFAULT_SECONDS) * 1000;
  const isImplicitTls = smtp.port === IMPLICIT_TLS_PORT;
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: isImplicitTls,
    requireTLS: smtp.useTls && !isImplicitTls,
    ignoreTLS: !smtp.useTls && !isImplicitTls,
    tls: { rejectUnauthorized: !smtp.skipTlsVerify },
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(smtp.username !== '' && { auth: { user: smtp.username, pass: smtp.password } }),
  });
  try {
    await withDeadline(
      transport.sendMail({
        from: smtp.from,
        to,
        subject: '[Open Model Gateway] Test of the alert settings',
        text: 'Alerts about budgets will be sent like this mail.',
      }),
      timeoutMs,
    );
  } catch (error) {
    const reason = error instanceof DeadlineError ? 'timeout' : smtpReason(error);
    throw new AdminError('delivery_failed', { message: `The message could not be delivered: ${reason}.`, cause: error });
  } finally {
    transport.close();
  }
}

/** A class, never the server's text, which may quote what it was sent. */
function smtpReason(error: unknown): string {
  const { code, responseCode } = error as { code?: string; responseCode?: number };
  const byCode: Record<string, string> = {
    EAUTH: 'auth',
    ETLS: 'tls',
    EENVELOPE: 'address refused',
    EDNS: 'dns',
    ETIMEDOUT: 'timeout',
    ESOCKET: errorClass(error),
    ECONNECTION: errorClass(error),
  };
  const reason = (code && byCode[code]) ?? errorClass(error);
  return responseCode ? `${reason} (${responseCode})` : reason;
}
