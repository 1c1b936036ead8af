import createClient, { type Client } from 'openapi-fetch';
import type { paths } from './generated/schema.js';

/** Paths, parameters, bodies and answers are checked against the admin API's OpenAPI document at compile time. */
export type AdminClient = Client<paths, 'application/json'>;

export interface AdminClientOptions {
  /** Such as `http://127.0.0.1:8081`. */
  baseUrl: string;
  /** An access token or an admin API token; absent: only public routes answer. */
  token?: string;
  /** Longest wait for an answer. */
  timeoutMs?: number;
  fetch?: typeof fetch;
}

const TIMEOUT_DEFAULT_MS = 30_000;

export function createAdminClient(options: AdminClientOptions): AdminClient {
  const send = options.fetch ?? fetch;
  return createClient<paths, 'application/json'>({
    baseUrl: options.baseUrl.replace(/\/+$/, ''),
    headers: options.token === undefined ? {} : { authorization: `Bearer ${options.token}` },
    fetch: (request) => send(request, { signal: AbortSignal.any([request.signal, AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_DEFAULT_MS)]) }),
  });
}

/** What the admin API answered instead of data. */
export class AdminApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'AdminApiError';
  }
}

interface Result<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; throws an AdminApiError for every other answer. */
export async function unwrap<T>(pending: Promise<Result<T>>): Promise<T> {
  const { data, error, response } = await pending;
  if (response.ok) return data as T;
  const { error: text, code } = (typeof error === 'object' && error !== null ? error : {}) as { error?: unknown; code?: unknown };
  throw new AdminApiError(
    response.status,
    typeof code === 'string' ? code : 'unknown',
    typeof text === 'string' ? text : `the admin API answered ${response.status}`,
  );
}

/** An address that downloads a report as CSV in a browser tab, for a minute. `path` holds path and query. */
export async function downloadUrl(client: AdminClient, baseUrl: string, path: string): Promise<string> {
  const { url } = await unwrap(client.POST('/admin/downloads', { body: { path } }));
  return `${baseUrl.replace(/\/+$/, '')}${url}`;
}

/** A client that acts for a person, until his access token ends. */
export async function signIn(options: AdminClientOptions, email: string, password: string): Promise<AdminClient> {
  const session = await unwrap(createAdminClient(options).POST('/admin/auth/login', { body: { email, password } }));
  return createAdminClient({ ...options, token: session.access_token });
}
