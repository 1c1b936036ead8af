import { describe, expect, it } from '@jest/globals';
import type { ModelDocument, RouteDocument } from '@omg/contracts';
import { KeyRing, sealedContext } from '@omg/domain';
import { RouteTable } from './route-table.js';

const keys = new KeyRing([`k1:${Buffer.alloc(32, 7).toString('base64')}`]);
const table = () => new RouteTable(keys);

function route(id: string, more: Partial<RouteDocument> = {}): RouteDocument {
  return {
    id,
    provider: 'openai-compatible',
    providerModel: 'm',
    deployment: 'm',
    modelType: 'llm',
    modalities: ['text'],
    supportsTools: false,
    contextWindow: 0,
    maxOutputTokens: 0,
    weight: 100,
    enabled: true,
    settings: { base_url: 'http://127.0.0.1:1/v1' },
    sealed: {},
    ...more,
  };
}
const model = (alias: string, ...routes: RouteDocument[]): string => JSON.stringify({ v: 1, alias, createdUnix: 1, routes } satisfies ModelDocument);

describe('the route table', () => {
  it('holds the enabled routes of all models, built with their opened secrets', () => {
    const sealed = { api_key: keys.seal('secret', sealedContext.routeSetting('api_key', 'r1')) };
    const t = table();
    const { added } = t.replaceAll(new Map([['model.a', model('a', route('r1', { sealed }), route('r2', { enabled: false }))]]));
    expect(added.map(({ id, problem }) => [id, problem])).toEqual([['r1', undefined]]);
    expect(t.get('r1')?.adapter?.probe).toBeDefined();
  });

  it('a change of one model touches only its changed routes', () => {
    const t = table();
    t.replaceAll(
      new Map([
        ['model.a', model('a', route('r1'), route('r2'))],
        ['model.b', model('b', route('r3'))],
      ]),
    );
    const change = t.set('model.a', model('a', route('r1'), route('r4')));
    expect([change.added.map(({ id }) => id), change.removed]).toEqual([['r4'], ['r2']]);
    expect(t.set('model.a', model('a', route('r1', { settings: { base_url: 'http://x/v1' } }), route('r4'))).added.map(({ id }) => id)).toEqual(['r1']);
    expect(t.set('model.a', undefined).removed).toEqual(['r1', 'r4']);
    expect(t.all().map(({ id }) => id)).toEqual(['r3']);
  });

  it('a new snapshot removes what it does not have', () => {
    const t = table();
    t.replaceAll(new Map([['model.a', model('a', route('r1'))]]));
    expect(t.replaceAll(new Map([['model.b', model('b', route('r3'))]])).removed).toEqual(['r1']);
  });

  it('keeps a route that cannot be built, with the reason and without its secret', () => {
    const elsewhere = { api_key: keys.seal('secret', sealedContext.routeSetting('api_key', 'other')) };
    const t = table();
    t.replaceAll(
      new Map([['model.a', model('a', route('r1', { sealed: elsewhere }), route('r2', { provider: 'nobody' }), route('r3', { invalid: 'no price' }))]]),
    );
    expect(['r1', 'r2', 'r3'].map((id) => t.get(id)?.problem)).toEqual(['misconfigured', 'unknown_provider', 'misconfigured']);
  });

  it('a document that cannot be read changes nothing', () => {
    const invalid: string[] = [];
    const t = new RouteTable(keys, (key) => invalid.push(key));
    t.replaceAll(new Map([['model.a', model('a', route('r1'))]]));
    expect(t.set('model.a', '{"v":2}')).toEqual({ added: [], removed: [] });
    expect(t.set('model.a', 'nonsense')).toEqual({ added: [], removed: [] });
    expect([t.size, invalid]).toEqual([1, ['model.a', 'model.a']]);
  });
});
