import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadConfig } from '../load-config.js';
import { leavesOf, type SectionName, configSchema } from '../schema.js';
import { GENERATED_FILES } from './generated-files.js';

const root = join(import.meta.dirname, '../../../../..');

describe('generated files', () => {
  it.each(Object.keys(GENERATED_FILES))('%s is current (pnpm generate)', (path) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(GENERATED_FILES[path]!());
  });

  it('the sample has every key', () => {
    const sample = parse(GENERATED_FILES['infra/router.example.yaml']!()) as Record<string, unknown>;
    for (const { path, dotted } of leavesOf()) {
      const value = path.reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], sample);
      expect([dotted, value]).toEqual([dotted, expect.anything()]);
    }
  });

  const sections = Object.keys(configSchema.shape) as SectionName[];
  const argv = ['--config', join(root, 'infra/router.example.yaml')];

  it('the sample starts as it is in the demo profile, without a warning but those of the well-known secrets', () => {
    const { config, warnings } = loadConfig({ sections, argv, env: { ROUTER_PROFILE: 'demo' }, cwd: '/nonexistent' });
    expect(warnings.filter((warning) => !warning.includes('well-known'))).toEqual([]);
    expect(config.bootstrap.apiKeys[0]).toMatchObject({ prefix: 'demo', secret: 'my-secret' });
    expect(config.modelCatalog.every((item) => item.ok)).toBe(true);
  });

  it('the sample does not start in production until every secret is set', () => {
    const env = {
      ROUTER_SECRETS_API_KEY_PEPPER: 'k9Qm2vXw7Lr4Tz8Np3Ys6Hd1Fb5Gc0Je',
      ROUTER_SECRETS_ENCRYPTION_KEYS: `k1:${Buffer.from('0f1e2d3c4b5a69788796a5b4c3d2e1f0').toString('base64')}`,
      ROUTER_ADMIN_SESSION_JWT_SECRET: 'k9Qm2vXw7Lr4Tz8Np3Ys6Hd1Fb5Gc0Jf',
      ADMIN_PASSWORD: 'correct horse battery',
      DEMO_KEY_SECRET: 'f3a91c0d5be84726a1d0',
    };
    const load = (more: Record<string, string | undefined>) => () => loadConfig({ sections, argv, env: { ...env, ...more }, cwd: '/nonexistent' });
    expect(load({ DEMO_KEY_SECRET: 'f3a91c0d5be84726a1d0c2e7' })).not.toThrow();
    for (const name of Object.keys(env)) expect(load({ DEMO_KEY_SECRET: 'f3a91c0d5be84726a1d0c2e7', [name]: undefined })).toThrow();
  });
});
