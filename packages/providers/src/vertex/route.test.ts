import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProviderAdapter } from '../spec/provider.js';
import type { Transport } from '../spec/transport.js';
import { jsonAnswer, recording } from '../testing/battery.js';
import { makeCall, makeRoute } from '../testing/call.js';
import { Harness } from '../testing/harness.js';
import type { WireAnswer, WireRequest } from '../testing/wire-server.js';
import { vertex } from './adapter.js';

/** Where calls go and what opens the door. */
const file = (name: string): Buffer => recording(`${import.meta.dirname}/__fixtures__`, name);
const ASK = { model: 'my-alias', messages: [{ role: 'user', content: 'Hello' }] };
const KEY = { vertex_api_key: 'AIzaSyD-key' };

let wire: Harness;
beforeAll(async () => {
  wire = await Harness.start();
});
afterAll(() => wire.close());
beforeEach(() => wire.reset(jsonAnswer(file('plain.json'))));

const create = (settings: Record<string, string>, model = 'gemini-2.5-flash'): ProviderAdapter =>
  vertex.create(makeRoute(settings, { providerModel: model, maxOutputTokens: 0 }));

describe('addresses', () => {
  const url = async (settings: Record<string, string>, model?: string): Promise<string> => {
    await create(settings, model).invoke(makeCall(wire.transport, ASK));
    return wire.lastUrl;
  };
  const path = '/locations/LOC/publishers/google/models/gemini-2.5-flash:generateContent';

  it.each([
    [{ gcp_project_id: 'p' }, `https://us-central1-aiplatform.googleapis.com/v1beta1/projects/p${path.replace('LOC', 'us-central1')}`],
    [
      { gcp_project_id: 'p', vertex_location: 'europe-west4' },
      `https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p${path.replace('LOC', 'europe-west4')}`,
    ],
    [{ gcp_project_id: 'p', vertex_location: 'global' }, `https://aiplatform.googleapis.com/v1beta1/projects/p${path.replace('LOC', 'global')}`],
    [{ gcp_project_id: 'p', vertex_location: 'eu' }, `https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/p${path.replace('LOC', 'eu')}`],
    [{}, 'https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent'],
    [
      { vertex_endpoint: 'https://generativelanguage.googleapis.com/v1beta' },
      'https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent',
    ],
  ])('of %j', async (settings, expected) => {
    expect(await url({ ...KEY, ...settings } as Record<string, string>)).toBe(expected);
  });

  it('of tuned models', async () => {
    expect(await url({ ...KEY, gcp_project_id: 'p' }, 'endpoints/123')).toMatch(
      /\/v1beta1\/projects\/p\/locations\/us-central1\/endpoints\/123:generateContent$/,
    );
    expect(await url({ ...KEY, gcp_project_id: 'p' }, 'projects/9/locations/eu/endpoints/7')).toMatch(
      /\/v1beta1\/projects\/9\/locations\/eu\/endpoints\/7:generateContent$/,
    );
  });
});

describe('access tokens', () => {
  const account = (name: string): Record<string, string> => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    return {
      type: 'service_account',
      project_id: `${name}-project`,
      private_key_id: 'kid',
      private_key: privateKey,
      client_email: `${name}@example.iam.gserviceaccount.com`,
      client_id: '1',
      token_uri: 'https://oauth2.googleapis.com/token',
    };
  };
  const withTokens = (request: WireRequest): WireAnswer =>
    request.url === '/token'
      ? jsonAnswer({ access_token: `ya29.token-${wire.server.requests.filter(({ url }) => url === '/token').length}`, expires_in: 3599, token_type: 'Bearer' })
      : jsonAnswer(file('plain.json'));
  const tokenRequests = (): WireRequest[] => wire.server.requests.filter(({ url }) => url === '/token');

  it('are fetched once through the transport, by a signed assertion, and shared by all routes of the account', async () => {
    wire.answer = withTokens;
    const credentials = JSON.stringify(account('shared'));
    const first = create({ gcp_credentials_json: credentials });
    const second = create({ gcp_credentials_json: credentials }, 'gemini-2.5-pro');
    await Promise.all([first, first, second].map((adapter) => adapter.invoke(makeCall(wire.transport, ASK))));
    await first.invoke(makeCall(wire.transport, ASK));
    expect(tokenRequests()).toHaveLength(1);
    const form = new URLSearchParams(tokenRequests()[0]!.body.toString());
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    const claims = JSON.parse(Buffer.from(form.get('assertion')!.split('.')[1]!, 'base64url').toString());
    expect(claims).toMatchObject({ iss: 'shared@example.iam.gserviceaccount.com', scope: 'https://www.googleapis.com/auth/cloud-platform' });
    expect(wire.server.last.headers.authorization).toBe('Bearer ya29.token-1');
    expect(wire.server.last.url).toContain('/projects/shared-project/');
  });

  it('come from base64 credentials too, whether the catalog says so or not', async () => {
    wire.answer = withTokens;
    const encoded = Buffer.from(JSON.stringify(account('encoded'))).toString('base64');
    for (const settings of [{ gcp_credentials_json: encoded }, { gcp_credentials_json: encoded, gcp_credentials_format: 'base64' }]) {
      await create(settings as Record<string, string>).invoke(makeCall(wire.transport, ASK));
    }
    expect(tokenRequests()).toHaveLength(1);
    expect(() => create({ gcp_credentials_json: 'garbage', gcp_project_id: 'p' })).toThrow(expect.objectContaining({ kind: 'auth' }));
  });

  it('come from a refresh token of a person too, and from no other kind of credentials', async () => {
    wire.answer = withTokens;
    const person = { type: 'authorized_user', client_id: 'c', client_secret: 's', refresh_token: 'r' };
    await create({ gcp_credentials_json: JSON.stringify(person), gcp_project_id: 'p' }).invoke(makeCall(wire.transport, ASK));
    expect(tokenRequests()[0]!.body.toString()).toContain('refresh_token=r');
    const other = create({ gcp_credentials_json: '{"type":"other"}', gcp_project_id: 'p' }).invoke(makeCall(wire.transport, ASK));
    await expect(other).rejects.toMatchObject({ kind: 'auth' });
  });

  it('that are refused are the fault of the route, and tell nothing of the key', async () => {
    wire.answer = () => jsonAnswer({ error: 'invalid_grant', error_description: 'Invalid JWT Signature.' }, { status: 400 });
    const credentials = account('refused');
    const error = await create({ gcp_credentials_json: JSON.stringify(credentials) })
      .invoke(makeCall(wire.transport, ASK))
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'ProviderError', kind: 'auth', internal: 'no access token for the route' });
    expect(wire.sent.every(({ url }) => url === 'https://oauth2.googleapis.com/token')).toBe(true);
  });

  it('that cannot be fetched keep the kind of the failure', async () => {
    const dead: Transport = { send: (request) => wire.sockets.send({ ...request, url: 'http://127.0.0.1:9/token' }) };
    await expect(create({ gcp_credentials_json: JSON.stringify(account('dead')) }).invoke(makeCall(dead, ASK))).rejects.toMatchObject({
      name: 'ProviderError',
      kind: 'network',
    });
  });
});
