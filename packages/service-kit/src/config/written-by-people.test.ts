import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from './load-config.js';
import type { SectionName } from './schema.js';

/** Files as people write them: keys left empty, variables for numbers, merge keys, lists in either spelling. */

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'omg-config-'));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

function load<const S extends SectionName>(sections: readonly S[], yaml: string, env: Record<string, string> = {}) {
  writeFileSync(join(cwd, 'router.yaml'), `profile: demo\n${yaml}`);
  return loadConfig({ sections, cwd, env, argv: [] });
}

describe('a key that is written without a value', () => {
  it('is as if it were not there, in sections, entries of lists and maps alike', () => {
    const { config } = load(
      ['server', 'bootstrap', 'model_catalog'],
      `server:
  body_limit_mb:
bootstrap:
  tenants: [{name: a, status: }]
  tenant_budgets: [{tenant: a, budget_usd: , alert_emails: }]
  api_keys: [{tenant: a, prefix: p, secret: s, name: n, quota: , rate_limit: {requests_per_minute: }, scopes: }]
model_catalog:
  - {alias: a, provider: openai, provider_model: m, api_key: , endpoint: , deployment: , modalities: , price_input: , metadata: {audio_voice: }, azure: }
`,
    );
    expect(config.server.bodyLimitMb).toBe(20);
    expect(config.bootstrap.tenants).toEqual([{ name: 'a', status: 'active' }]);
    expect(config.bootstrap.tenantBudgets).toEqual([{ tenant: 'a' }]);
    expect(config.bootstrap.apiKeys).toEqual([{ tenant: 'a', prefix: 'p', secret: 's', name: 'n', rate_limit: {} }]);
    expect(config.modelCatalog).toMatchObject([{ ok: true, entry: { api_key: '', deployment: 'm', modalities: [], metadata: {} } }]);
  });

  it('does not hide that a catalog entry refers to a variable that is not set', () => {
    const { config } = load(['model_catalog'], 'model_catalog:\n  - {alias: a, provider: openai, provider_model: m, api_key: "${NOT_SET}", endpoint: }\n');
    expect(config.modelCatalog[0]).toMatchObject({ ok: false, problems: [expect.stringContaining('NOT_SET')] });
  });
});

describe('a variable', () => {
  it('may stand for a number or a flag anywhere in lists and maps', () => {
    const { config } = load(
      ['bootstrap', 'model_catalog'],
      `bootstrap:
  admin_users: [{email: a@b.c, name: x, super_admin: "\${FLAG}"}]
  api_keys: [{tenant: a, prefix: p, secret: "\${SECRET}", name: n, quota: {budget_usd: "\${USD}"}, rate_limit: {requests_per_minute: "\${RPM}"}}]
model_catalog:
  - {alias: a, provider: openai, provider_model: m, price_input: "\${PRICE:-0.1}", enabled: "\${ON:-true}", weight: "\${WEIGHT:-5}", context_window: "8192"}
`,
      { FLAG: 'false', SECRET: '0123456789', USD: '2.5', RPM: '9' },
    );
    expect(config.bootstrap.adminUsers[0]!.super_admin).toBe(false);
    expect(config.bootstrap.apiKeys[0]).toMatchObject({ secret: '0123456789', quota: { budget_usd: 2.5 }, rate_limit: { requests_per_minute: 9 } });
    expect(config.modelCatalog).toMatchObject([{ ok: true, entry: { price_input: 0.1, enabled: true, weight: 5, context_window: 8192 } }]);
  });

  it('holds a list by comma or as JSON', () => {
    for (const text of ['openid, email', '["openid", "email"]'])
      expect(load(['admin'], '', { ROUTER_ADMIN_OIDC_SCOPES: text }).config.admin.oidc.scopes).toEqual(['openid', 'email']);
  });
});

describe('the file', () => {
  it('may use anchors and merge keys, kept under a key of its own', () => {
    const { config, warnings } = load(
      ['server', 'model_catalog'],
      `x-route: &route {provider: openai, price_input: 0.1}
server: {<<: {body_limit_mb: 7}}
model_catalog:
  - {<<: *route, alias: a, provider_model: m}
`,
    );
    expect(config.server.bodyLimitMb).toBe(7);
    expect(config.modelCatalog).toMatchObject([{ ok: true, entry: { provider: 'openai', price_input: 0.1 } }]);
    expect(warnings.join()).not.toMatch(/unknown key/);
  });

  it('may let tokens live and alerts rest for months', () => {
    const { config } = load(['admin', 'budgets'], 'admin: {session: {refresh_token_ttl: 720h}}\nbudgets: {alert: {cooldown: 2160h}}\n');
    expect([config.admin.session.refreshTokenTtlMs, config.budgets.alert.cooldownMs]).toEqual([2_592_000_000, 7_776_000_000]);
  });

  it('may give metadata as numbers, flags, lists and maps; they are texts inside', () => {
    const { config } = load(
      ['model_catalog'],
      `model_catalog:
  - {alias: a, provider: vertex, provider_model: m, metadata: {bedrock_embed_dims: 512, bedrock_embed_normalize: true, audio_formats: [mp3, wav], gcp_credentials_json: {type: service_account}}}
`,
    );
    expect(config.modelCatalog).toMatchObject([
      {
        ok: true,
        entry: {
          metadata: {
            bedrock_embed_dims: '512',
            bedrock_embed_normalize: 'true',
            audio_formats: 'mp3,wav',
            gcp_credentials_json: '{"type":"service_account"}',
          },
        },
      },
    ]);
  });
});

describe('what could never work is refused when the file is read', () => {
  it.each([
    ['a secret that no header can carry', 'api_keys: [{tenant: a, prefix: p, secret: "my sécret", name: n}]', 'secret'],
    ['a prefix with the sign that ends it', 'api_keys: [{tenant: a, prefix: "a.b", secret: s, name: n}]', 'prefix'],
    ['a scope that no endpoint has', 'api_keys: [{tenant: a, prefix: p, secret: s, name: n, scopes: [banana]}]', 'scopes'],
    ['a schedule that nobody knows', 'tenant_budgets: [{tenant: a, refresh_schedule: monthly}]', 'refresh_schedule'],
    ['a negative limit', 'tenant_limits: [{tenant: a, limits: {requests_per_minute: -1}}]', 'requests_per_minute'],
  ])('%s', (_what, line, field) => expect(() => load(['bootstrap'], `bootstrap:\n  ${line}\n`)).toThrow(field));

  it('a price list whose tiers count different things, or of a bucket that nobody reads, switches off its route alone', () => {
    const { config, warnings } = load(
      ['model_catalog'],
      `model_catalog:
  - {alias: a, provider: openai, provider_model: m, pricing_tiers: {image: [{unit: per_image, price_per_unit: 1}, {unit: tokens_per_million, price_per_unit: 1}]}}
  - {alias: b, provider: openai, provider_model: m, pricing_tiers: {banana: [{unit: per_image, price_per_unit: 0.04}]}}
  - {alias: c, provider: openai, provider_model: m, pricing_tiers: {image: [{unit: PER_IMAGE, price_per_unit: 0.04}]}}
`,
    );
    expect(config.modelCatalog.map((item) => item.ok)).toEqual([false, false, true]);
    expect(warnings).toEqual(expect.arrayContaining([expect.stringContaining('must count the same thing'), expect.stringContaining('banana')]));
  });
});
