import type { Meters } from '@omg/domain';
import type { ProviderCall } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import type { TransportResponse } from '../spec/transport.js';
import { billed } from './consumed.js';
import { providerError, readFault, type UpstreamFault } from './errors.js';
import { isRecord, tryParseJson } from './safe-json.js';
import { metersFromUsage } from './usage.js';

/** An error's body is read only for its code and message. */
export const ERROR_BODY_BYTES_MAX = 64 * 1024;

export interface PostOptions {
  url: string;
  headers: Record<string, string>;
  body: Buffer | string;
  /** Reads a provider's own error shape; the default knows OpenAI's and its relatives'. */
  readFault?: (body: Buffer) => UpstreamFault;
}

/** Sends a call's POST with its deadlines. Resolves for 2xx only; any other status is thrown as the ProviderError it means. */
export async function post(call: ProviderCall, options: PostOptions): Promise<TransportResponse> {
  const response = await call.transport.send({
    method: 'POST',
    url: options.url,
    headers: options.headers,
    body: options.body,
    signal: call.signal,
    headersTimeoutMs: call.headersTimeoutMs,
    idleTimeoutMs: call.idleTimeoutMs,
  });
  if (response.status >= 200 && response.status < 300) return response;
  throw await responseError(response, options.readFault);
}

/** The error that a non-2xx answer means; a body that cannot be read does not hide the status. */
export async function responseError(response: TransportResponse, read: (body: Buffer) => UpstreamFault = readFault): Promise<ProviderError> {
  let fault: UpstreamFault = {};
  let meters: Meters | undefined;
  try {
    const body = await response.bytes(ERROR_BODY_BYTES_MAX);
    fault = read(body);
    meters = usageIn(body);
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error;
  }
  const error = providerError(response.status, fault, response.headers);
  billed(error, meters);
  return error;
}

/** Some servers tell with a failure what it has cost. */
function usageIn(body: Buffer): Meters | undefined {
  if (!body.includes('"usage"')) return undefined;
  const parsed = tryParseJson(body);
  return isRecord(parsed) ? metersFromUsage(parsed['usage']) : undefined;
}
