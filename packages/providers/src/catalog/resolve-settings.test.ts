import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { ProviderDefinition } from '../spec/provider.js';
import { isSecretSetting, ownSettings, resolveSettings, routeIdentity, type CatalogSources } from './resolve-settings.js';

const definition: ProviderDefinition = {
  slug: 'acme-cloud',
  title: 'Acme',
  description: '',
  capabilities: {},
  settings: z.object({ base_url: z.url(), api_key: z.string({ error: 'is required' }) }).catchall(z.string()) as unknown as ProviderDefinition['settings'],
  secretSettings: ['api_key', 'account'],
  catalog: {
    spellings: { base_url: ['acme_base_url', 'endpoint'] },
    shared: [{ values: { account: 'acme.account', api_key: 'acme.key' }, unless: ['api_key', 'account'] }, { values: { base_url: 'acme.url' } }],
  },
  create: () => {
    throw new Error('not used');
  },
};

const sources = (over: Partial<CatalogSources> = {}): CatalogSources => ({ block: {}, fields: {}, metadata: {}, ...over });
const shared = { 'acme.account': 'shared-account', 'acme.key': 'shared-key', 'acme.url': 'https://shared' };

describe('settings of a catalog entry', () => {
  it('takes block before entry before metadata before shared credentials, under whatever name', () => {
    const all = sources({ block: { base_url: 'https://block' }, fields: { endpoint: 'https://entry' }, metadata: { acme_base_url: 'https://meta' } });
    expect(resolveSettings(definition, all, shared).settings.base_url).toBe('https://block');
    expect(resolveSettings(definition, { ...all, block: {} }, shared).settings.base_url).toBe('https://entry');
    expect(resolveSettings(definition, { ...all, block: {}, fields: {} }, shared).settings.base_url).toBe('https://meta');
    expect(resolveSettings(definition, sources(), shared).settings.base_url).toBe('https://shared');
  });

  it('hands the adapter canonical names only, and keeps settings that it does not know', () => {
    const { settings } = resolveSettings(
      definition,
      sources({ fields: { endpoint: 'https://entry', region: '' }, metadata: { price_image_cents: '4' } }),
      shared,
    );
    expect(settings).toEqual({ base_url: 'https://entry', account: 'shared-account', api_key: 'shared-key', price_image_cents: '4' });
  });

  it('never mixes one half of the own credentials with the other half of the shared ones', () => {
    expect(resolveSettings(definition, sources({ fields: { api_key: 'own' } }), shared).settings).toMatchObject({ api_key: 'own' });
    expect(resolveSettings(definition, sources({ fields: { api_key: 'own' } }), shared).settings.account).toBeUndefined();
  });

  it('tells what is missing without telling values', () => {
    const { problems } = resolveSettings(definition, sources({ fields: { endpoint: 'not a url secret-value' } }), {});
    expect(problems).toHaveLength(2);
    expect(problems.join()).toContain('api_key: is required');
    expect(problems.join()).not.toContain('secret-value');
  });

  it('keeps the identity of a route when its key is rotated, and tells places apart', () => {
    const entry = { provider: 'acme-cloud', providerModel: 'm', deployment: 'm' };
    const identity = (over: Partial<CatalogSources>) => routeIdentity(definition, entry, sources(over));
    expect(identity({ fields: { endpoint: 'https://a', api_key: '1' } })).toBe(identity({ block: { base_url: 'https://a' }, fields: { api_key: '2' } }));
    expect(identity({ fields: { endpoint: 'https://a' } })).not.toBe(identity({ fields: { endpoint: 'https://b' } }));
    expect(identity({ fields: { region: 'eu' } })).not.toBe(identity({}));
  });

  it.each(['api_key', 'account', 'aws_secret_access_key', 'gcp_credentials_json', 'session_token'])('treats %s as a secret', (name) => {
    expect(isSecretSetting(definition, name)).toBe(true);
  });

  it.each(['bedrock_default_max_tokens', 'base_url', 'keyword', 'audio_voice'])('shows %s', (name) => {
    expect(isSecretSetting(definition, name)).toBe(false);
  });

  it('works for a provider that nobody knows', () => {
    expect(ownSettings(undefined, sources({ metadata: { a: ' 1 ' } }))).toEqual({ a: '1' });
  });
});
