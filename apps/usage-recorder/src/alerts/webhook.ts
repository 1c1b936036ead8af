import { createHmac } from 'node:crypto';
import { errorClass } from '@omg/service-kit';
import { AddressGuard, BlockedAddressError, parseAllowlist } from '@omg/upstream';
import { Agent, request } from 'undici';
import { delivered, failed, type SendResult } from './send.js';

/**
 * Webhooks, signed as standardwebhooks.com describes, so that receivers can check them with existing libraries:
 * `webhook-signature: v1,<base64 of HMAC-SHA-256 over "<id>.<timestamp>.<body>">`.
 *
 * A tenant's owner chooses the URL, so it must not become a way into our network: only https, no redirects, and the
 * address is checked when the socket is opened, on what DNS said for that very connection. `security.webhook_allowlist`
 * opens private places, and plain http for hosts and addresses that it names.
 */
export interface WebhookOptions {
  allowlist: readonly string[];
  /** `whsec_<base64>` or any text; empty: not signed. */
  signingSecret: string;
}

const ANSWER_BYTES_MAX = 16_384;

export class WebhookSender {
  private readonly guard: AddressGuard;
  private readonly agent: Agent;
  private readonly key: Buffer | undefined;

  constructor(options: WebhookOptions) {
    this.guard = new AddressGuard(parseAllowlist(options.allowlist));
    this.agent = new Agent({ connect: { lookup: this.guard.lookup as never }, pipelining: 0, keepAliveTimeout: 1_000 });
    this.key = signingKey(options.signingSecret);
  }

  async send(address: string, id: string, payload: unknown, timeoutMs: number): Promise<SendResult> {
    const url = this.permittedUrl(address);
    if (typeof url === 'string') return failed(url, false);
    const body = JSON.stringify(payload);
    try {
      const { statusCode, body: answer } = await request(url, {
        method: 'POST',
        dispatcher: this.agent,
        headers: { 'content-type': 'application/json', 'user-agent': 'open-model-gateway', ...this.signature(id, body) },
        body,
        signal: AbortSignal.timeout(timeoutMs),
      });
      await answer.dump({ limit: ANSWER_BYTES_MAX }).catch(() => undefined);
      return resultOf(statusCode);
    } catch (error) {
      if (isBlocked(error)) return failed('address not allowed', false);
      return failed(error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : errorClass(error), true);
    }
  }

  close(): Promise<void> {
    return this.agent.destroy();
  }

  /** The URL, or why it may not be called. */
  private permittedUrl(address: string): URL | string {
    if (!URL.canParse(address)) return 'not a URL';
    const url = new URL(address);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.guard.lists(url.hostname))) return 'not https';
    try {
      this.guard.checkLiteral(url.hostname);
    } catch {
      return 'address not allowed';
    }
    return url;
  }

  private signature(id: string, body: string): Record<string, string> {
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
    if (!this.key) return headers;
    return { ...headers, 'webhook-signature': `v1,${createHmac('sha256', this.key).update(`${id}.${timestamp}.${body}`).digest('base64')}` };
  }
}

function resultOf(status: number): SendResult {
  if (status >= 200 && status < 300) return delivered;
  // Redirects are not followed: their target was not what the owner entered.
  const retry = status >= 500 || status === 408 || status === 429;
  return failed(`status ${status}`, retry);
}

function isBlocked(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) if (current instanceof BlockedAddressError) return true;
  return false;
}

function signingKey(secret: string): Buffer | undefined {
  if (secret === '') return undefined;
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret, 'utf8');
}
