import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig } from './load-config.js';
import type { SectionName } from './schema.js';

const PEPPER = 'k9Qm2vXw7Lr4Tz8Np3Ys6Hd1Fb5Gc0Je';
const KEY = `k1:${Buffer.from('0f1e2d3c4b5a69788796a5b4c3d2e1f0').toString('base64')}`;

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'omg-config-'));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

function load<const S extends SectionName>(
  sections: readonly S[],
  sources: { yaml?: string; env?: Record<string, string>; dotEnv?: string; argv?: string[] } = {},
) {
  if (sources.yaml !== undefined) writeFileSync(join(cwd, 'router.yaml'), sources.yaml);
  if (sources.dotEnv !== undefined) writeFileSync(join(cwd, '.env'), sources.dotEnv);
  return loadConfig({ sections, cwd, env: sources.env ?? {}, argv: sources.argv ?? [] });
}

function problemsOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('expected a ConfigError');
}

describe('precedence', () => {
  it('takes the environment over .env over YAML over defaults', () => {
    const yaml = 'server:\n  body_limit_mb: 1\n  sync_timeout: 400s\n  stream_idle_timeout: 7s\n';
    const dotEnv = 'ROUTER_SERVER_BODY_LIMIT_MB=2\nROUTER_SERVER_SYNC_TIMEOUT=500s\n';
    const { config } = load(['server'], { yaml, dotEnv, env: { ROUTER_SERVER_BODY_LIMIT_MB: '3' } });
    expect(config.server).toMatchObject({ bodyLimitMb: 3, syncTimeoutMs: 500_000, streamIdleTimeoutMs: 7000, providerTimeoutMs: 280_000 });
  });

  it('treats an empty variable as not set', () => {
    expect(load(['server'], { env: { ROUTER_SERVER_BODY_LIMIT_MB: '' } }).config.server.bodyLimitMb).toBe(20);
  });

  it('takes an alias that it cannot follow for a mistake of the file', () => {
    expect(problemsOf(() => load(['server'], { yaml: 'server: *shared\n' }))).toMatch(/router\.yaml: not valid YAML \(an alias/);
    expect(load(['server'], { yaml: 'x-size: &size 7\nserver: {body_limit_mb: *size}\n' }).config.server.bodyLimitMb).toBe(7);
  });

  it('finds router.yaml, then config/router.yaml, and an explicit file by option or variable', () => {
    mkdirSync(join(cwd, 'config'));
    writeFileSync(join(cwd, 'config/router.yaml'), 'server: {body_limit_mb: 5}');
    expect(load(['server']).config.server.bodyLimitMb).toBe(5);
    writeFileSync(join(cwd, 'other.yaml'), 'server: {body_limit_mb: 6}');
    expect(load(['server'], { env: { ROUTER_CONFIG_FILE: 'other.yaml' } }).config.server.bodyLimitMb).toBe(6);
    expect(load(['server'], { argv: ['--config', 'other.yaml'], env: { ROUTER_CONFIG_FILE: 'missing.yaml' } }).config.server.bodyLimitMb).toBe(6);
    expect(load(['server'], { yaml: 'server: {body_limit_mb: 7}' }).config.server.bodyLimitMb).toBe(7);
  });

  it('allows a missing default file and refuses a missing explicit one', () => {
    expect(load(['server']).filePath).toBeUndefined();
    expect(problemsOf(() => load(['server'], { env: { ROUTER_CONFIG_FILE: 'missing.yaml' } }))).toContain('cannot be read (ENOENT)');
    expect(problemsOf(() => load(['server'], { argv: ['--config=missing.yaml'] }))).toContain('missing.yaml');
  });
});

describe('environment mapping', () => {
  it('binds leaves that have neither a default nor a YAML line', () => {
    const env = {
      ROUTER_DATABASE_URL: 'postgres://db/omg',
      ROUTER_ADMIN_SESSION_JWT_SECRET: PEPPER,
      ROUTER_PROVIDERS_OPENAI_COMPATIBLE_BASE_URL: 'http://vllm:8000/v1',
    };
    const { config } = load(['database', 'admin', 'providers'], { env });
    expect(config.database.url).toBe('postgres://db/omg');
    expect(config.admin.session.jwtSecret).toBe(PEPPER);
    expect(config.providers.openaiCompatible.baseUrl).toBe('http://vllm:8000/v1');
  });

  it('reads ROUTER_DB_URL as database.url and warns when both names differ', () => {
    expect(load(['database'], { env: { ROUTER_DB_URL: 'postgres://a/b' } }).config.database.url).toBe('postgres://a/b');
    const both = load(['database'], { env: { ROUTER_DB_URL: 'postgres://a/b', ROUTER_DATABASE_URL: 'postgres://c/d' } });
    expect(both.config.database.url).toBe('postgres://c/d');
    expect(both.warnings.join()).toContain('ROUTER_DATABASE_URL and ROUTER_DB_URL differ');
  });

  it('reads lists by comma, maps and object lists as JSON, flags and durations in every spelling', () => {
    const { config } = load(['admin', 'bootstrap', 'observability', 'health'], {
      env: {
        ROUTER_ADMIN_SESSION_JWT_SECRET: PEPPER,
        ROUTER_ADMIN_OIDC_ALLOWED_DOMAINS: 'example.com, example.org ,',
        ROUTER_BOOTSTRAP_TENANTS: '[{"name":"acme"}]',
        ROUTER_BOOTSTRAP_MEMBERSHIPS: '[{"tenant":"acme","email":"A@example.com","role":"Viewer"}]',
        ROUTER_OBSERVABILITY_ENABLE_METRICS: '0',
        ROUTER_OBSERVABILITY_ENABLE_OTLP: 'TRUE',
        ROUTER_HEALTH_CHECK_INTERVAL: '1h30m',
        ROUTER_HEALTH_COOLDOWN: '90',
      },
    });
    expect(config.admin.oidc.allowedDomains).toEqual(['example.com', 'example.org']);
    expect(config.bootstrap.tenants).toEqual([{ name: 'acme', status: 'active' }]);
    expect(config.bootstrap.memberships).toEqual([{ tenant: 'acme', email: 'a@example.com', role: 'viewer' }]);
    expect(config.observability).toMatchObject({ enableMetrics: false, enableOtlp: true });
    expect(config.health).toMatchObject({ checkIntervalMs: 5_400_000, cooldownMs: 90_000 });
  });

  it('hands out PORT beside the configuration', () => {
    expect(load(['server'], { env: { PORT: '0' } }).port).toBe(0);
    expect(problemsOf(() => load(['server'], { env: { PORT: 'http' } }))).toContain('PORT');
  });
});

describe('${VAR} in YAML', () => {
  it('expands variables and defaults, keeps $${ literal and converts the text to the type of the leaf', () => {
    const yaml = 'database:\n  url: "${DB}"\n  max_conns: ${MAX:-7}\nproviders:\n  openai_key: "$${X}"\n';
    const { config } = load(['database', 'providers'], { yaml, env: { DB: 'postgres://x/y' } });
    expect(config.database).toMatchObject({ url: 'postgres://x/y', maxConns: 7 });
    expect(config.providers.openaiKey).toBe('${X}');
  });

  it('refuses an unset variable, but only in the sections that the service reads', () => {
    const yaml = 'database:\n  url: ${NOWHERE}\nserver:\n  body_limit_mb: 3\n';
    expect(problemsOf(() => load(['database'], { yaml }))).toContain('database.url (ROUTER_DATABASE_URL): refers to NOWHERE, which is not set');
    expect(load(['server'], { yaml }).config.server.bodyLimitMb).toBe(3);
  });
});

describe('problems', () => {
  it('tells all of them in one message, with path and variable', () => {
    const yaml = 'server: {sync_timeout: soon, body_limit_mb: -1}\nbudgets: {refresh_schedule: fortnightly}\nreporting: {timezone: Mars/Olympus}\n';
    const message = problemsOf(() => load(['server', 'budgets', 'reporting', 'database'], { yaml }));
    expect(message).toContain('server.sync_timeout (ROUTER_SERVER_SYNC_TIMEOUT): must be a duration');
    expect(message).toContain('server.body_limit_mb (ROUTER_SERVER_BODY_LIMIT_MB)');
    expect(message).toContain('budgets.refresh_schedule (ROUTER_BUDGETS_REFRESH_SCHEDULE)');
    expect(message).toContain('reporting.timezone (ROUTER_REPORTING_TIMEZONE)');
    expect(message).toContain('database.url (ROUTER_DATABASE_URL): is required');
    expect(message).toContain('5 problems');
  });

  it('never prints a secret, not even one in a broken file, URL or list', () => {
    const secret = 'hunter2hunter2';
    const messages = [
      problemsOf(() => load(['database'], { env: { ROUTER_DATABASE_URL: `mysql://root:${secret}@db/x` } })),
      problemsOf(() => load(['bootstrap'], { yaml: `bootstrap:\n  api_keys: [{tenant: a, prefix: "not ok", secret: ${secret}, name: n}]\n` })),
      problemsOf(() => load(['secrets'], { env: { ROUTER_SECRETS_API_KEY_PEPPER: secret, ROUTER_SECRETS_ENCRYPTION_KEYS: secret } })),
      problemsOf(() => load(['server'], { yaml: `providers:\n  openai_key: "${secret}\n  x: [` })),
      problemsOf(() => load(['bootstrap'], { env: { ROUTER_BOOTSTRAP_API_KEYS: `{"secret": "${secret}` } })),
    ];
    for (const message of messages) expect(message).not.toContain(secret);
  });

  it('warns of unknown keys, unsupported sections and unknown variables by name', () => {
    const yaml =
      'server: {body_limit: 3}\nfiles: {storage: s3}\nproviders: {openai_compatible: {base_url: "http://x/v1"}}\nbootstrap: {tenants: [{name: a, plan: gold}]}\nmodel_catalog: [{alias: a, provider: openai, provider_model: m, wieght: 3}]\n';
    const { warnings } = load(['server'], { yaml, env: { ROUTER_SERVR_X: '1', ROUTER_SERVICE_HOST: '10.0.0.1', ROUTER_PORT_80_TCP: 'x' } });
    expect(warnings).toEqual([
      'server.body_limit: unknown key, it has no effect',
      'files: not a part of this gateway, the section has no effect',
      'bootstrap.tenants[0].plan: unknown key, it has no effect',
      'model_catalog[0].wieght: unknown key, it has no effect',
      'ROUTER_SERVR_X: unknown variable, it has no effect',
    ]);
  });
});

describe('cross checks', () => {
  it.each([
    ['server: {provider_timeout: 400s}', ['server'], 'server.provider_timeout'],
    ['database: {url: "postgres://x/y", min_conns: 30}', ['database'], 'database.min_conns'],
    ['{server: {body_limit_mb: 20}, edge: {body_memory_mb: 19}}', ['server', 'edge'], 'edge.body_memory_mb'],
    ['admin: {local: {enabled: false}, session: {jwt_secret: k9Qm2vXw7Lr4Tz8Np3Ys6Hd1Fb5Gc0Je}}', ['admin'], 'admin.local.enabled'],
    ['admin: {oidc: {enabled: true, issuer: "https://x"}, session: {jwt_secret: k9Qm2vXw7Lr4Tz8Np3Ys6Hd1Fb5Gc0Je}}', ['admin'], 'admin.oidc.client_id'],
    ['budgets: {alert: {smtp: {host: mail}}}', ['budgets'], 'budgets.alert.smtp.from'],
    ['budgets: {refresh_schedule: rolling_9999d}', ['budgets'], 'budgets.refresh_schedule'],
    ['bootstrap: {tenants: [{name: a}, {name: a}]}', ['bootstrap'], 'bootstrap.tenants'],
  ] as const)('%s is refused', (yaml, sections, path) => {
    expect(problemsOf(() => load(sections as readonly SectionName[], { yaml }))).toContain(path);
  });

  it('starts with its own defaults, and enabled alerts without channels only warn', () => {
    const all: SectionName[] = [
      'server',
      'rate_limits',
      'budgets',
      'reporting',
      'retention',
      'health',
      'observability',
      'security',
      'edge',
      'metering',
      'recorder',
      'monitor',
      'providers',
      'bootstrap',
      'model_catalog',
    ];
    expect(load(all).warnings).toEqual([]);
    expect(load(['budgets'], { yaml: 'budgets: {alert: {enabled: true}}' }).warnings.join()).toContain('budgets.alert.enabled');
  });
});

describe('secrets', () => {
  const env = { ROUTER_SECRETS_API_KEY_PEPPER: PEPPER, ROUTER_SECRETS_ENCRYPTION_KEYS: KEY };

  it('starts in production only with secrets that somebody chose', () => {
    expect(load(['secrets'], { env }).config.secrets.encryptionKeys).toEqual([KEY]);
    for (const bad of [
      '',
      'change-me',
      'change-me-change-me-change-me-change-me',
      'short',
      'a'.repeat(40),
      'development-only-api-key-pepper-0123456789',
      'your-secret-goes-here-your-secret-goes-here',
    ])
      expect(problemsOf(() => load(['secrets'], { env: { ...env, ROUTER_SECRETS_API_KEY_PEPPER: bad } }))).toContain('secrets.api_key_pepper');
    for (const bad of ['', 'k1', 'k1:c2hvcnQ=', `k1:${Buffer.from('development-only-encryption-key!').toString('base64')}`])
      expect(problemsOf(() => load(['secrets'], { env: { ...env, ROUTER_SECRETS_ENCRYPTION_KEYS: bad } }))).toContain('secrets.encryption_keys');
  });

  it('fills missing ones in the profiles demo and development, and says so', () => {
    const { config, warnings } = load(['secrets', 'admin'], { env: { ROUTER_PROFILE: 'demo' } });
    expect(config.secrets.apiKeyPepper).not.toBe('');
    expect(config.admin.session.jwtSecret.length).toBeGreaterThanOrEqual(32);
    expect(warnings).toHaveLength(3);
    expect(load(['secrets'], { env: { ...env, ROUTER_PROFILE: 'development' } }).config.secrets.apiKeyPepper).toBe(PEPPER);
  });

  it('does not ask a service for a secret that it does not need', () => {
    writeFileSync(join(cwd, 'router.yaml'), '');
    const { config } = loadConfig({ sections: ['secrets'], exceptSecrets: ['secrets.api_key_pepper'], cwd, env: { ROUTER_SECRETS_ENCRYPTION_KEYS: KEY } });
    expect(config.secrets.apiKeyPepper).toBe('');
  });

  it('refuses the demo key outside the demo', () => {
    const yaml = 'bootstrap: {api_keys: [{tenant: demo, prefix: sk-demo, secret: my-secret, name: Demo}]}';
    expect(problemsOf(() => load(['bootstrap'], { yaml }))).toContain('bootstrap.api_keys');
    expect(load(['bootstrap'], { yaml, env: { ROUTER_PROFILE: 'demo' } }).config.bootstrap.apiKeys[0]).toMatchObject({ prefix: 'demo', secret: 'my-secret' });
  });

  it('accepts bootstrapped admins without a password', () => {
    expect(load(['bootstrap'], { yaml: 'bootstrap: {admin_users: [{email: A@Example.com, name: A}]}' }).config.bootstrap.adminUsers[0]).toEqual({
      email: 'a@example.com',
      name: 'A',
      super_admin: true,
    });
  });
});

describe('model catalog', () => {
  it('keeps several entries of one alias and switches off only the broken one', () => {
    const yaml = `model_catalog:
  - {alias: gpt, provider: Azure, provider_model: gpt-4o, price_input: 0.005, price_output: 5}
  - {alias: gpt, provider: openai_compatible, provider_model: m, weight: 0, metadata: {bedrock_embed_dims: 256}}
  - {alias: bad, provider: openai, provider_model: m, price_input: -1}
  - {alias: gpt, provider: openai, provider_model: m, api_key: "\${MISSING_KEY}"}
`;
    const { config, warnings } = load(['model_catalog'], { yaml });
    expect(config.modelCatalog.map((item) => item.ok)).toEqual([true, true, false, false]);
    expect(config.modelCatalog[0]).toMatchObject({ entry: { provider: 'azure', deployment: 'gpt-4o', weight: 100, enabled: true } });
    expect(config.modelCatalog[1]).toMatchObject({ entry: { provider: 'openai-compatible', weight: 100, metadata: { bedrock_embed_dims: '256' } } });
    expect(warnings.some((warning) => warning.includes('model_catalog[0].price_output') && warning.includes('per million'))).toBe(true);
    expect(warnings.some((warning) => warning.startsWith('model_catalog[2].price_input'))).toBe(true);
    expect(warnings.join()).toContain('MISSING_KEY');
  });

  it('keeps pricing tiers by which nothing is billed, and tells so', () => {
    const yaml = `model_catalog:
  - {alias: a, provider: openai, provider_model: m, pricing_tiers: {input: [{unit: tokens_per_million, price_per_unit: 1}], tts: [{unit: per_million_characters, price_per_unit: 15}]}}
`;
    const { config, warnings } = load(['model_catalog'], { yaml });
    expect(config.modelCatalog).toMatchObject([{ ok: true, entry: { pricing_tiers: { tts: [{ price_per_unit: 15 }] } } }]);
    expect(warnings).toEqual([expect.stringMatching(/^model_catalog\[0\]\.pricing_tiers\.tts: .*billed/)]);
  });

  it('switches off an entry whose pricing tiers cannot be used, naming the place', () => {
    const yaml = `model_catalog:
  - {alias: a, provider: openai, provider_model: m, pricing_tiers: {image: [{unit: Per_Image, price_per_unit: 0.04}, {unit: per_megapixel, price_per_unit: 0.03}]}}
  - {alias: b, provider: openai, provider_model: m, pricing_tiers: {image: [{unit: per_image, price_per_unit: 0.04}, {unit: tokens_per_million, price_per_unit: 40}]}}
  - {alias: c, provider: openai, provider_model: m, pricing_tiers: {input: [{unit: per_image, price_per_unit: 0.04}]}}
  - {alias: d, provider: openai, provider_model: m, pricing_tiers: {image: [{price_per_unit: 0.04}]}}
`;
    const { config, warnings } = load(['model_catalog'], { yaml });
    expect(config.modelCatalog.map((item) => item.ok)).toEqual([true, false, false, false]);
    expect(warnings).toMatchObject([
      expect.stringContaining('model_catalog[1].pricing_tiers.image: its tiers must count the same thing'),
      expect.stringContaining('model_catalog[2].pricing_tiers.input.0.unit: must count tokens here'),
      expect.stringContaining('model_catalog[3].pricing_tiers.image.0.unit'),
    ]);
  });
});
