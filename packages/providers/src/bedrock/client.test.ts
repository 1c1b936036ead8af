import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ProviderAdapter } from '../spec/provider.js';
import type { TransportRequest } from '../spec/transport.js';
import { jsonAnswer } from '../testing/battery.js';
import { makeCall, makeRoute } from '../testing/call.js';
import { Harness } from '../testing/harness.js';
import { WireServer } from '../testing/wire-server.js';
import { bedrock } from './adapter.js';

const CLAUDE = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
const KEYS = { aws_access_key_id: 'AKIDEXAMPLE', aws_secret_access_key: 'secret' };
const ANSWER = jsonAnswer({ content: [{ type: 'text', text: 'OK' }], stop_reason: 'end_turn', usage: { input_tokens: 1, output_tokens: 1 } });
const ASK = { model: 'my-alias', messages: [{ role: 'user', content: 'Hello' }] };

let wire: Harness;
beforeAll(async () => {
  wire = await Harness.start();
});
afterAll(() => wire.close());
beforeEach(() => wire.reset(ANSWER));

const create = (settings: Record<string, string>, model = CLAUDE): ProviderAdapter => bedrock.create(makeRoute(settings, { providerModel: model }));

async function invoke(settings: Record<string, string>, model?: string): Promise<TransportRequest> {
  await create(settings, model).invoke(makeCall(wire.transport, ASK, { operation: 'chat' }));
  return wire.sent.at(-1)!;
}

describe('credentials and region', () => {
  const variables = { ...process.env };
  afterEach(() => {
    process.env = { ...variables };
  });

  it('signs with static keys and their session token', async () => {
    const { url, headers } = await invoke({ ...KEYS, aws_session_token: 'session', region: 'eu-west-3' });
    expect(url).toMatch(/^https:\/\/bedrock-runtime\.eu-west-3\.amazonaws\.com\/model\//);
    expect(headers['authorization']).toMatch(/Credential=AKIDEXAMPLE\/\d{8}\/eu-west-3\/bedrock\/aws4_request/);
    expect(headers['x-amz-security-token']).toBe('session');
    expect(headers).not.toHaveProperty('host');
  });

  it('sends a Bedrock API key as bearer token', async () => {
    const { headers } = await invoke({ aws_bearer_token: 'ABSKexample', region: 'us-east-1' });
    expect(headers['authorization']).toBe('Bearer ABSKexample');
  });

  it('lets no API key of the environment win over keys of the route', async () => {
    process.env['AWS_BEARER_TOKEN_BEDROCK'] = 'ABSKenvironment';
    const { headers } = await invoke({ ...KEYS, region: 'eu-west-2' });
    expect(headers['authorization']).toMatch(/^AWS4-HMAC-SHA256/);
  });

  it('falls back to the default chain', async () => {
    process.env['AWS_ACCESS_KEY_ID'] = 'AKIDENVIRONMENT';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'secret';
    process.env['AWS_REGION'] = 'ap-south-1';
    const { url, headers } = await invoke({});
    expect(url).toContain('bedrock-runtime.ap-south-1.');
    expect(headers['authorization']).toContain('AKIDENVIRONMENT');
  });

  it('reads a profile', async () => {
    process.env['AWS_SHARED_CREDENTIALS_FILE'] = join(import.meta.dirname, '__fixtures__/aws-credentials.ini');
    process.env['AWS_CONFIG_FILE'] = join(import.meta.dirname, '__fixtures__/aws-config.ini');
    const { url, headers } = await invoke({ aws_profile: 'team-a' });
    expect(url).toContain('bedrock-runtime.eu-north-1.');
    expect(headers['authorization']).toContain('AKIDTEAMA');
  });

  it('trades the token of a Kubernetes service account for credentials at STS, over the gateway own sockets', async () => {
    for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
    process.env['AWS_REGION'] = 'eu-west-1';
    process.env['AWS_ROLE_ARN'] = 'arn:aws:iam::123456789012:role/gateway';
    process.env['AWS_WEB_IDENTITY_TOKEN_FILE'] = join(import.meta.dirname, '__fixtures__/web-identity-token.txt');
    wire.answer = ({ body }) =>
      body.includes('Action=AssumeRoleWithWebIdentity')
        ? { headers: { 'content-type': 'text/xml' }, body: readFileSync(join(import.meta.dirname, '__fixtures__/assume-role.xml')) }
        : ANSWER;
    const { headers } = await invoke({ region: 'eu-west-1' });
    expect(headers['authorization']).toContain('Credential=ASgeIAIOSFODNN7EXAMPLE/');
    expect(headers['x-amz-security-token']).toBe('AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE');
    const asked = wire.sent.find(({ url }) => url.includes('sts.'))!;
    expect(new URLSearchParams(asked.body!.toString()).get('RoleArn')).toBe('arn:aws:iam::123456789012:role/gateway');
    expect(new URLSearchParams(asked.body!.toString()).get('WebIdentityToken')).toBe('eyJraWQiOiJrZXkifQ.service-account.signature');
  });

  it('takes the region of an ARN when none is given, and the given one first', async () => {
    const arn = 'arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/a1b2c3';
    const settings = { ...KEYS, bedrock_chat_format: 'anthropic_messages' };
    expect((await invoke(settings, arn)).url).toContain('bedrock-runtime.us-west-2.');
    expect((await invoke({ ...settings, region: 'us-east-2' }, arn)).url).toContain('bedrock-runtime.us-east-2.');
    expect(decodeURIComponent(wire.sent[0]!.url)).toContain(arn);
  });

  it('tells missing credentials as the fault of the route', async () => {
    process.env = { AWS_EC2_METADATA_DISABLED: 'true', AWS_SHARED_CREDENTIALS_FILE: '/nonexistent', AWS_CONFIG_FILE: '/nonexistent', AWS_REGION: 'us-east-1' };
    await expect(invoke({ region: 'ca-central-1' })).rejects.toMatchObject({ name: 'ProviderError', kind: 'auth' });
    expect(wire.sent).toEqual([]);
  });
});

describe('one attempt per call', () => {
  it.each([429, 500, 503])('leaves retries after %i to the gateway', async (status) => {
    const failing = await WireServer.start(() => jsonAnswer({ message: 'x' }, { status, headers: { 'content-type': 'application/json', 'retry-after': '7' } }));
    const call = create({ ...KEYS, region: 'us-east-1', endpoint: failing.url }).invoke(makeCall(wire.sockets, ASK));
    await expect(call).rejects.toMatchObject({ name: 'ProviderError', status, retryAfterMs: 7000 });
    expect(failing.requests).toHaveLength(1);
    await failing.close();
  });

  it('ends with its caller, even while credentials are still looked for', async () => {
    const controller = new AbortController();
    const never = new Promise<never>(() => undefined);
    const stuck = { send: () => never };
    const call = create({ ...KEYS, region: 'us-east-1' }).invoke(makeCall(stuck, ASK, { signal: controller.signal }));
    controller.abort(new Error('the client left'));
    await expect(call).rejects.toThrow('the client left');
  });

  it('keeps the kind of a failure of the transport', async () => {
    const call = create({ ...KEYS, region: 'us-east-1', endpoint: 'http://127.0.0.1:9' }).invoke(makeCall(wire.sockets, ASK));
    await expect(call).rejects.toMatchObject({ name: 'ProviderError', kind: 'network' });
  });

  it('gives up an answer beyond the bound', async () => {
    const call = create({ ...KEYS, region: 'us-east-1', endpoint: wire.server.url }).invoke(makeCall(wire.sockets, ASK, { responseBytesMax: 10 }));
    await expect(call).rejects.toMatchObject({ name: 'ProviderError', kind: 'malformed' });
  });
});

describe('the health probe', () => {
  const probe = async (status: number, headers: Record<string, string>, message: string): Promise<void> => {
    const asked = await WireServer.start(() => jsonAnswer({ message }, { status, headers: { 'content-type': 'application/json', ...headers } }));
    try {
      await create({ ...KEYS, region: 'us-east-1', endpoint: asked.url }).probe!({
        transport: wire.sockets,
        signal: new AbortController().signal,
        timeoutMs: 30_000,
      });
      expect(asked.last.url).toMatch(/^\/async-invoke\?maxResults=1/);
    } finally {
      await asked.close();
    }
  };

  it('accepts a key that may not list jobs: its signature was good', async () => {
    const message = 'User: arn:aws:iam::123456789012:user/gw is not authorized to perform: bedrock:ListAsyncInvokes';
    await probe(403, { 'x-amzn-errortype': 'AccessDeniedException' }, message);
  });

  it('fails for a wrong signature', async () => {
    await expect(probe(403, { 'x-amzn-errortype': 'InvalidSignatureException' }, 'The request signature we calculated does not match')).rejects.toMatchObject({
      kind: 'auth',
    });
  });
});

describe('cost on import', () => {
  it('loads no SDK with the modules: they come with the first call', () => {
    for (const provider of ['anthropic', 'bedrock', 'vertex']) {
      const folder = join(import.meta.dirname, '..', provider);
      for (const file of readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
        const text = readFileSync(join(folder, file), 'utf8');
        const eager = [...text.matchAll(/^import (?!type )[^;]*?from '([^']+)';/gm)].map((match) => match[1]!);
        expect({ file, eager: eager.filter((name) => /^@aws-sdk|^@smithy|^google-auth|^@anthropic-ai|^openai/.test(name)) }).toEqual({ file, eager: [] });
      }
    }
  });
});
