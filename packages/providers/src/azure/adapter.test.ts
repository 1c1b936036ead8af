import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import '@azure/openai/types';
import { waitFor } from '@omg/testkit';
import OpenAI, { AzureOpenAI } from 'openai';
import { resolveSettings } from '../catalog/resolve-settings.js';
import * as wire from '../openai/__fixtures__/wire.js';
import type { ProviderAdapter } from '../spec/provider.js';
import { collect, makeCall, makeRoute } from '../testing/call.js';
import { Harness } from '../testing/harness.js';
import { UndiciTransport } from '../testing/undici-transport.js';
import { WireServer, type WireAnswer, type WireRequest } from '../testing/wire-server.js';
import { fixtures } from './__fixtures__/cases.js';
import { azure } from './adapter.js';
import { EntraTokenSource } from './entra-token.js';

let server: WireServer;
let answer: (request: WireRequest) => WireAnswer;
const transport = new UndiciTransport();

beforeAll(async () => {
  server = await WireServer.start((request) => answer(request));
});
afterAll(async () => {
  await transport.close();
  await server.close();
});
beforeEach(() => {
  server.requests.length = 0;
  answer = () => wire.chat.plain.answer;
});

const CHAT = { model: 'my-alias', messages: [{ role: 'user' as const, content: 'hi' }] };

function adapter(settings: Record<string, string>): ProviderAdapter {
  return azure.create(makeRoute({ endpoint: server.url, api_key: 'key-1', ...settings }, { deployment: 'dep' }));
}

const request = (): { url: string; key: unknown; auth: unknown } => ({
  url: server.last.url,
  key: server.last.headers['api-key'],
  auth: server.last.headers.authorization,
});

describe('Azure URLs and headers', () => {
  it.each([
    ['chat', CHAT, (client: AzureOpenAI) => client.chat.completions.create({ ...CHAT, model: 'dep' })],
    [
      'embeddings',
      { model: 'my-alias', input: 'x' },
      (client: AzureOpenAI) => client.embeddings.create({ model: 'dep', input: 'x', encoding_format: 'float' }),
    ],
    ['images', { model: 'my-alias', prompt: 'x' }, (client: AzureOpenAI) => client.images.generate({ model: 'dep', prompt: 'x' })],
  ])('of a dated version are those of the official client: %s', async (operation, body, official) => {
    answer = () => (operation === 'chat' ? wire.chat.plain.answer : operation === 'images' ? wire.images.one.answer : wire.embeddings.one.answer(server.last));
    await official(new AzureOpenAI({ endpoint: server.url, apiKey: 'key-1', apiVersion: '2024-10-21' }));
    const theirs = request();
    await adapter({ api_version: '2024-10-21' }).invoke(makeCall(transport, body));
    expect(request()).toEqual(theirs);
  });

  it('of /openai/v1 are what the plain client asks for, with the deployment as the model', async () => {
    await new OpenAI({ baseURL: `${server.url}/openai/v1/`, apiKey: 'key-1' }).chat.completions.create({ ...CHAT, model: 'dep' });
    const theirs = request().url;
    for (const settings of [
      { api_version: 'v1' },
      { endpoint: `${server.url}/openai/v1/` },
      { endpoint: `${server.url}/openai/v1`, api_version: '2024-10-21' },
    ] as Record<string, string>[]) {
      await adapter(settings).invoke(makeCall(transport, CHAT));
      expect(request().url).toBe(theirs);
      expect(JSON.parse(server.last.body.toString()).model).toBe('dep');
    }
    await adapter({ api_version: 'preview' }).invoke(makeCall(transport, CHAT));
    expect(request().url).toBe('/openai/v1/chat/completions?api-version=preview');
  });

  it.each([
    ['2024-07-01-preview', { max_tokens: 5 }, false],
    ['2024-10-21', { max_tokens: 5 }, true],
    ['2025-01-01-preview', { max_completion_tokens: 5 }, true],
    ['v1', { max_completion_tokens: 5 }, true],
  ])('of %s carry only what that version knows', async (api_version, limit, options) => {
    answer = () => wire.chat.stream.answer;
    await collect(
      await adapter({ api_version }).invoke(makeCall(transport, { ...CHAT, max_tokens: 5, stream: true, stream_options: { include_usage: true } })),
    );
    const sent = JSON.parse(server.last.body.toString());
    expect(sent).toMatchObject(limit);
    expect('stream_options' in sent).toBe(options);
  });

  it('take the deployment from the settings, then the entry, then the model', async () => {
    for (const [settings, over, expected] of [
      [{ deployment: 'a' }, {}, 'a'],
      [{}, {}, 'dep'],
      [{}, { deployment: '' }, 'upstream-model'],
    ] as const) {
      await azure.create(makeRoute({ endpoint: server.url, api_key: 'k', ...settings }, { deployment: 'dep', ...over })).invoke(makeCall(transport, CHAT));
      expect(server.last.url).toBe(`/openai/deployments/${expected}/chat/completions?api-version=2024-10-21`);
    }
  });
});

describe('Azure content filters', () => {
  it('are told to the client as its types know them, streamed or not', async () => {
    answer = () => fixtures.chat!['content-filter'].answer;
    const reply = await adapter({}).invoke(makeCall(transport, CHAT));
    if (reply.kind !== 'json') throw new Error('a stream came back');
    const body = JSON.parse(reply.body.toString()) as OpenAI.ChatCompletion;
    expect(body.choices[0]!.content_filter_results?.violence).toEqual({ filtered: true, severity: 'medium' });
    expect(body.prompt_filter_results?.[0]?.content_filter_results.hate).toEqual({ filtered: false, severity: 'safe' });
    answer = () => fixtures.chat!.stream.answer;
    const { chunks } = await collect(await adapter({}).invoke(makeCall(transport, { ...CHAT, stream: true })));
    const results = (chunks as unknown as OpenAI.ChatCompletionChunk[]).map((chunk) => chunk.choices[0]!.content_filter_results?.violence?.severity);
    expect(results.filter((severity) => severity !== undefined)).toEqual(['safe', 'safe', 'safe']);
  });
});

describe('Azure by Entra ID', () => {
  const ENTRA = { api_key: '', azure_tenant_id: 'tenant', azure_client_id: 'client', azure_client_secret: 'hush' };
  let tokens: number;
  let lifeSeconds: number;

  beforeEach(() => {
    tokens = 0;
    lifeSeconds = 3600;
    answer = ({ url }) => {
      if (!url.startsWith('/tenant/')) return wire.chat.plain.answer;
      tokens++;
      return {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token_type: 'Bearer', expires_in: lifeSeconds, access_token: `token-${tokens}` }),
      };
    };
  });

  const entra = (over: Record<string, string> = {}): ProviderAdapter => adapter({ ...ENTRA, azure_authority_host: server.url, ...over });
  const ask = (over: ProviderAdapter): Promise<unknown> => over.invoke(makeCall(transport, CHAT));

  it('asks for one token for all calls that wait, and keeps it', async () => {
    const route = entra();
    await Promise.all([ask(route), ask(route), ask(route)]);
    await ask(route);
    expect(tokens).toBe(1);
    const [first] = server.requests;
    expect(first!.url).toBe('/tenant/oauth2/v2.0/token');
    expect(Object.fromEntries(new URLSearchParams(first!.body.toString()))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'client',
      client_secret: 'hush',
      scope: 'https://cognitiveservices.azure.com/.default',
    });
    expect(request()).toMatchObject({ key: undefined, auth: 'Bearer token-1' });
    await ask(entra({ api_version: 'v1' }));
    expect(new URLSearchParams(server.requests.at(-2)!.body.toString()).get('scope')).toBe('https://ai.azure.com/.default');
  });

  it('asks anew when the token is about to end, and when Azure refused it', async () => {
    lifeSeconds = 29;
    const short = entra();
    await ask(short);
    await ask(short);
    expect(tokens).toBe(2);
    lifeSeconds = 3600;
    const route = entra();
    await ask(route);
    const usual = answer;
    answer = (got) => (got.url.startsWith('/tenant/') ? usual(got) : { status: 401, body: '' });
    await expect(ask(route)).rejects.toMatchObject({ kind: 'auth' });
    answer = usual;
    await ask(route);
    expect(tokens).toBe(4);
  });

  it('renews the token beside the calls, which go on with the old one, also when the renewal fails', async () => {
    lifeSeconds = 299;
    const route = entra();
    await ask(route);
    let refuse = true;
    let renewals = 0;
    const usual = answer;
    answer = (got) => {
      if (!got.url.startsWith('/tenant/')) return usual(got);
      renewals++;
      return refuse ? { status: 503, body: '' } : usual(got);
    };
    await ask(route);
    expect(request().auth).toBe('Bearer token-1');
    await waitFor(() => renewals === 1);
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 11_000);
    refuse = false;
    lifeSeconds = 3600;
    await ask(route);
    expect(request().auth).toBe('Bearer token-1');
    await waitFor(() => tokens === 2);
    await waitFor(async () => {
      await ask(route);
      return request().auth === 'Bearer token-2';
    });
    clock.mockRestore();
    expect(tokens).toBe(2);
  });

  it('tells wrong credentials as the gateway own fault, and does not remember the failure', async () => {
    const usual = answer;
    answer = () => ({
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: '{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}',
    });
    const route = entra();
    await expect(ask(route)).rejects.toMatchObject({ name: 'ProviderError', kind: 'auth', isFinal: false });
    answer = () => ({ status: 200, body: '{"token":"x"}' });
    await expect(ask(route)).rejects.toMatchObject({ kind: 'malformed' });
    answer = usual;
    await ask(route);
  });

  it('is probed with a token of its own', async () => {
    answer = ({ url }) => ({ body: url.startsWith('/tenant/') ? '{"access_token":"t","expires_in":3600}' : '{"data":[]}' });
    await entra().probe!({ transport, signal: new AbortController().signal, timeoutMs: 30_000 });
    expect(request()).toMatchObject({ url: '/openai/models?api-version=2024-10-21', auth: 'Bearer t' });
  });
});

describe('Azure without a secret', () => {
  // As documented by Microsoft: how-to-use-vm-token and workload-identity-federation.
  const METADATA_ANSWER = {
    access_token: 'eyJ0eXAi-metadata',
    client_id: '00000000-0000-0000-0000-000000000000',
    expires_in: '86399',
    expires_on: '1506484173',
    ext_expires_in: '86399',
    not_before: '1506480273',
    resource: 'https://cognitiveservices.azure.com',
    token_type: 'Bearer',
  };

  it('asks the instance metadata service for the machine own token, and only that service with that right', async () => {
    const harness = await Harness.start();
    harness.answer = ({ url }) => (url.startsWith('/metadata/') ? { body: JSON.stringify(METADATA_ANSWER) } : wire.chat.plain.answer);
    const route = azure.create(makeRoute({ endpoint: 'https://my.openai.azure.com', azure_identity: 'managed_identity', azure_client_id: 'one-of-two' }));
    await route.invoke(makeCall(harness.transport, CHAT));
    await route.invoke(makeCall(harness.transport, CHAT));
    const [token, ...calls] = harness.sent;
    expect(token).toMatchObject({
      method: 'GET',
      url: 'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com&client_id=one-of-two',
      headers: { metadata: 'true' },
      toInstanceMetadata: true,
    });
    expect(calls.map(({ headers, toInstanceMetadata }) => [headers['authorization'], toInstanceMetadata])).toEqual([
      ['Bearer eyJ0eXAi-metadata', undefined],
      ['Bearer eyJ0eXAi-metadata', undefined],
    ]);
    harness.answer = () => ({ status: 400, body: '{"error":"invalid_request","error_description":"Identity not found"}' });
    const unknown = azure.create(makeRoute({ endpoint: 'https://my.openai.azure.com', azure_identity: 'managed_identity' }));
    await expect(unknown.invoke(makeCall(harness.transport, CHAT))).rejects.toMatchObject({ kind: 'auth' });
    await harness.close();
  });

  it('trades the token of its Kubernetes service account for one of Entra ID, reading it anew each time', async () => {
    answer = () => ({ body: JSON.stringify({ token_type: 'Bearer', expires_in: 20, ext_expires_in: 20, access_token: 'traded' }) });
    let reads = 0;
    const source = new EntraTokenSource({
      kind: 'workload_identity',
      scope: 'https://cognitiveservices.azure.com/.default',
      authorityHost: server.url,
      tenantId: 'tenant',
      clientId: 'client',
      readAssertion: () => Promise.resolve(`service-account-${++reads}\n`),
    });
    await source.get({ transport });
    expect(await source.get({ transport })).toBe('traded');
    expect(server.requests.map(({ url }) => url)).toEqual(['/tenant/oauth2/v2.0/token', '/tenant/oauth2/v2.0/token']);
    expect(Object.fromEntries(new URLSearchParams(server.last.body.toString()))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'client',
      scope: 'https://cognitiveservices.azure.com/.default',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'service-account-2',
    });
  });

  it('tells a missing service account token as the fault of the route', async () => {
    const route = adapter({ api_key: '', azure_identity: 'workload_identity', azure_tenant_id: 't', azure_client_id: 'c', azure_authority_host: server.url });
    await expect(route.invoke(makeCall(transport, CHAT))).rejects.toMatchObject({ kind: 'auth' });
    expect(server.requests).toHaveLength(0);
  });
});

describe('Azure settings', () => {
  it('need a resource, and a key or a whole client', () => {
    const ok = (settings: object): boolean => azure.settings.safeParse(settings).success;
    const endpoint = 'https://x.openai.azure.com';
    expect(ok({ endpoint, api_key: 'k' })).toBe(true);
    expect(ok({ endpoint, azure_tenant_id: 't', azure_client_id: 'c', azure_client_secret: 's' })).toBe(true);
    expect(ok({ endpoint, azure_tenant_id: 't', azure_client_id: 'c' })).toBe(false);
    expect(ok({ api_key: 'k' })).toBe(false);
    expect(ok({ endpoint, azure_identity: 'managed_identity' })).toBe(true);
    expect(ok({ endpoint, azure_identity: 'workload_identity', azure_tenant_id: 't', azure_client_id: 'c' })).toBe(true);
    expect(ok({ endpoint, azure_identity: 'workload_identity', azure_client_id: 'c' })).toBe(false);
    for (const api_version of ['2024-10-21?x', 'next', '2024-1-1']) expect(ok({ endpoint, api_key: 'k', api_version })).toBe(false);
  });

  it('never send the shared key to a resource of the entry own', () => {
    const shared = { azure_openai_key: 'shared', azure_openai_endpoint: 'https://shared.openai.azure.com', azure_openai_version: '2024-07-01-preview' };
    const resolve = (fields: Record<string, string>): Record<string, string> => resolveSettings(azure, { block: {}, fields, metadata: {} }, shared).settings;
    expect(resolve({})).toEqual({ api_key: 'shared', endpoint: 'https://shared.openai.azure.com', api_version: '2024-07-01-preview' });
    expect(resolve({ endpoint: 'https://own.openai.azure.com' }).api_key).toBeUndefined();
    expect(resolve({ endpoint: 'https://own.openai.azure.com', api_key: 'own' })).toMatchObject({ api_key: 'own', endpoint: 'https://own.openai.azure.com' });
  });
});
