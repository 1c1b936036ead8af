import { describe, expect, it } from '@jest/globals';
import type { RouteDocument } from '@omg/contracts';
import { ConfigSnapshot, type RouteEntry } from '../../../snapshot/config-snapshot.js';
import type { Caller } from '../../context.js';
import { chatRoute } from '../../../testing/edge-harness.js';
import { getModel, listModels } from './models.js';

function snapshotOf(models: Record<string, Partial<RouteDocument>[]>): ConfigSnapshot {
  const snapshot = new ConfigSnapshot(
    (doc) => ({ doc }) as RouteEntry,
    (_key, problem) => {
      throw new Error(problem);
    },
    () => undefined,
  );
  let createdUnix = 1_700_000_000;
  for (const [alias, routes] of Object.entries(models)) {
    const document = { v: 1, alias, createdUnix: createdUnix++, routes: routes.map((route) => chatRoute('http://provider/v1', route)) };
    snapshot.apply(`model.${alias}`, JSON.stringify(document));
  }
  return snapshot;
}

const caller = (...allowed: string[]): Caller =>
  ({ key: { doc: { scopes: [] } }, tenant: { allowedModels: allowed.length > 0 ? new Set(allowed) : undefined } }) as unknown as Caller;

describe('the list of models', () => {
  it('shows of an entry what clients and operators ask for, and nothing of its settings', () => {
    const settings = { base_url: 'http://internal.example/v1', api_key: 'canary-key', region: 'eu-central-1' };
    const route = {
      provider: 'azure',
      providerModel: 'gpt-4o-2024-11-20',
      deployment: 'prod',
      contextWindow: 128_000,
      settings,
      sealed: { token: 'v1:canary' },
    };
    expect(listModels(caller(), snapshotOf({ 'Team/GPT': [route, { settings }] }))).toEqual({
      object: 'list',
      data: [
        {
          id: 'Team/GPT',
          object: 'model',
          created: 1_700_000_000,
          owned_by: 'azure',
          provider: 'azure',
          deployment: 'prod',
          enabled: true,
          metadata: {
            provider_model: 'gpt-4o-2024-11-20',
            model_type: 'llm',
            modalities: ['text', 'image'],
            context_window: 128_000,
            max_output_tokens: 4096,
            supports_tools: true,
            region: 'eu-central-1',
            routes: 2,
          },
        },
      ],
    });
  });

  it('is sorted, and holds the enabled models that the tenant may use', () => {
    const snapshot = snapshotOf({ zeta: [{}], alpha: [{}], off: [{ enabled: false }], Mid: [{}] });
    const idsFor = (who: Caller): string[] => listModels(who, snapshot).data.map((model) => model.id);
    expect(idsFor(caller())).toEqual(['Mid', 'alpha', 'zeta']);
    expect(idsFor(caller('zeta', 'mid', 'off', 'unknown'))).toEqual(['Mid', 'zeta']);
  });

  it('gives one model by its name in any case; another tenant’s, a disabled and an unknown one are alike', () => {
    const snapshot = snapshotOf({ alpha: [{}], off: [{ enabled: false }] });
    expect(getModel(caller(), snapshot, 'ALPHA').id).toBe('alpha');
    for (const [who, alias] of [
      [caller('other'), 'alpha'],
      [caller(), 'off'],
      [caller(), 'nobody'],
    ] as const)
      expect(() => getModel(who, snapshot, alias)).toThrow(expect.objectContaining({ code: 'model_not_found', param: 'model' }));
  });
});
