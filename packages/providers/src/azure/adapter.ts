import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ProviderRoute } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { OPERATION_PATHS, defineOpenAiCompatible, type Connection } from '../openai-compatible/adapter.js';
import type { RequestRules } from '../openai-compatible/request.js';
import { baseUrl, headerText, setting, settingsSchema, withoutTrailingSlash } from '../openai-compatible/settings.js';
import { EntraTokenSource, type EntraCredentials } from './entra-token.js';

/**
 * Azure OpenAI. Bodies are OpenAI's; what differs is the URL (deployments under a dated API version, or `/openai/v1`), the
 * header of the key, and what a dated version knows.
 */

const DEFAULT_API_VERSION = '2024-10-21';
const LOGIN_HOST = 'https://login.microsoftonline.com';
/** Where the workload identity webhook puts the service account's token. Fixed: a path in the catalog would be a way to read any file. */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/azure/tokens/azure-identity-token';
const DATED_SCOPE = 'https://cognitiveservices.azure.com/.default';
const V1_SCOPE = 'https://ai.azure.com/.default';

/** First dated versions that know `stream_options`, and that know `max_completion_tokens` for all models. */
const STREAM_OPTIONS_SINCE = '2024-09-01';
const NEW_LIMIT_SINCE = '2024-12-01';

const apiVersion = z
  .string()
  .trim()
  .regex(/^(?:v1|latest|preview|\d{4}-\d{2}-\d{2}(?:-preview)?)$/, 'must be a date such as 2024-10-21, with or without -preview, or v1');

function rulesOf(version: string, isV1: boolean): Partial<RequestRules> {
  if (isV1) return { outputLimit: 'max_completion_tokens' };
  const date = version.slice(0, 10);
  return { streamOptions: date >= STREAM_OPTIONS_SINCE, outputLimit: date >= NEW_LIMIT_SINCE ? 'max_completion_tokens' : 'as_sent' };
}

function connect(route: ProviderRoute): Connection {
  const { settings } = route;
  const endpoint = setting(settings, 'endpoint');
  if (endpoint === undefined) throw new ProviderError('not_found', { internal: 'the route has no endpoint' });
  const version = setting(settings, 'api_version') ?? DEFAULT_API_VERSION;
  const given = withoutTrailingSlash(endpoint);
  const root = given.replace(/\/openai(?:\/v1)?$/, '');
  const isV1 = given.endsWith('/openai/v1') || !/^\d/.test(version);
  const deployment = setting(settings, 'deployment') ?? (route.deployment || route.providerModel);
  const query = isV1 ? (version === 'preview' ? '?api-version=preview' : '') : `?api-version=${version}`;
  const base = isV1 ? `${root}/openai/v1` : `${root}/openai/deployments/${encodeURIComponent(deployment)}`;
  const urls = {
    chat: base + OPERATION_PATHS.chat + query,
    embeddings: base + OPERATION_PATHS.embeddings + query,
    images: base + OPERATION_PATHS.images + query,
  };
  return {
    url: (operation) => urls[operation],
    model: deployment,
    request: rulesOf(version, isV1),
    probeUrl: isV1 ? `${root}/openai/v1/models${query}` : `${root}/openai/models${query}`,
    ...authorization(settings, isV1),
  };
}

function authorization(settings: ProviderRoute['settings'], isV1: boolean): Pick<Connection, 'authorize' | 'refused'> {
  const key = setting(settings, 'api_key');
  if (key !== undefined) {
    const headers = { 'api-key': key };
    return { authorize: () => headers };
  }
  const tokens = new EntraTokenSource(entraCredentials(settings, setting(settings, 'azure_scope') ?? (isV1 ? V1_SCOPE : DATED_SCOPE)));
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  return {
    authorize: (context) => {
      const token = tokens.get(context);
      return typeof token === 'string' ? bearer(token) : token.then(bearer);
    },
    refused: () => tokens.forget(),
  };
}

function entraCredentials(settings: ProviderRoute['settings'], scope: string): EntraCredentials {
  const kind = setting(settings, 'azure_identity') ?? 'client_secret';
  const [tenantId, clientId, clientSecret] = ENTRA_SETTINGS.map((name) => setting(settings, name));
  if (kind === 'managed_identity') return { kind, scope, clientId };
  const authorityHost = withoutTrailingSlash(setting(settings, 'azure_authority_host') ?? LOGIN_HOST);
  if (tenantId !== undefined && clientId !== undefined) {
    if (kind === 'workload_identity') return { kind, scope, authorityHost, tenantId, clientId, readAssertion: () => readFile(SERVICE_ACCOUNT_TOKEN, 'utf8') };
    if (clientSecret !== undefined) return { kind: 'client_secret', scope, authorityHost, tenantId, clientId, clientSecret };
  }
  throw new ProviderError('auth', { internal: 'the route has neither a key nor an Entra ID client' });
}

/** Whether the settings hold all that their way of signing in needs. */
function canSignIn(settings: Record<string, string | undefined>): boolean {
  if (settings['azure_identity'] === 'managed_identity') return true;
  if (settings['azure_identity'] === 'workload_identity') return Boolean(settings['azure_tenant_id'] && settings['azure_client_id']);
  return Boolean(settings['api_key']) || ENTRA_SETTINGS.every((name) => settings[name]);
}

const ENTRA_SETTINGS = ['azure_tenant_id', 'azure_client_id', 'azure_client_secret'] as const;

export const azure = defineOpenAiCompatible({
  slug: 'azure',
  title: 'Azure OpenAI',
  description: 'OpenAI models in an Azure resource: deployments under a dated API version, or /openai/v1; by key or Entra ID.',
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: true, n: true },
    embeddings: { tokenArrays: true, dimensions: true },
    images: { url: true },
  },
  settings: settingsSchema({
    endpoint: baseUrl,
    api_version: apiVersion.optional(),
    deployment: z.string().trim().optional(),
    api_key: headerText.optional(),
    azure_tenant_id: z.string().trim().optional(),
    azure_client_id: z.string().trim().optional(),
    azure_client_secret: z.string().trim().optional(),
    /** How the gateway signs in without a key. */
    azure_identity: z.enum(['client_secret', 'workload_identity', 'managed_identity']).optional(),
    azure_authority_host: baseUrl.optional(),
    azure_scope: z.string().trim().optional(),
  }).refine(canSignIn, {
    message: 'api_key is required, or azure_tenant_id, azure_client_id and azure_client_secret, or azure_identity with what it needs',
    path: ['api_key'],
  }),
  secretSettings: ['api_key', 'azure_client_secret'],
  catalog: {
    spellings: { endpoint: ['base_url'] },
    shared: [
      // The shared key opens the shared resource only, and no key is taken by a route that signs in by Entra ID.
      { values: { api_key: 'azure_openai_key' }, unless: ['endpoint', 'api_key', 'azure_identity', ...ENTRA_SETTINGS] },
      { values: { endpoint: 'azure_openai_endpoint', api_version: 'azure_openai_version' } },
    ],
    places: ['region', 'endpoint', 'deployment'],
  },
  connect,
  stopMeansToolCalls: false,
});
