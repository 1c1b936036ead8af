import { describe, expect, it } from '@jest/globals';
import { getProvider } from '../registry.js';
import { routeAbilities, type CatalogModel } from './route-abilities.js';

const PROVIDER = getProvider('openai-compatible')!;
const abilities = (over: Partial<CatalogModel>) =>
  routeAbilities({ modelType: 'llm', modalities: [], supportsTools: false, contextWindow: 0, providerModel: 'some-model', ...over }, PROVIDER);
const operations = (over: Partial<CatalogModel>): string[] => [...abilities(over).operations];

describe('what a route serves', () => {
  it.each<[Partial<CatalogModel>, string[]]>([
    [{}, ['chat']],
    [{ modalities: ['text'] }, ['chat']],
    [{ modalities: ['text', 'image'] }, ['chat']],
    [{ modalities: ['image'] }, ['images']],
    [{ modalities: ['embeddings'] }, ['embeddings']],
    [{ modalities: ['text', 'embedding'] }, ['chat', 'embeddings']],
    [{ modalities: ['text', 'audio'] }, ['chat']],
    [{ modalities: ['text', 'image'], providerModel: 'gpt-image-1' }, ['chat', 'images']],
    [{ modelType: 'image', modalities: ['text', 'image'] }, ['images']],
    [{ modelType: 'embedding' }, ['embeddings']],
    [{ modelType: 'chat' }, ['chat']],
    [{ modelType: 'moderation' }, []],
    [{ providerModel: 'text-embedding-3-small' }, ['embeddings']],
    [{ providerModel: 'dall-e-3' }, ['images']],
  ])('is read from type, modalities and name: %j', (entry, expected) => expect(operations(entry)).toEqual(expected));

  it('is refused pictures and sounds that its modalities lack, unless the entry says otherwise', () => {
    expect(abilities({})).toMatchObject({ imageInput: true, audioInput: true });
    expect(abilities({ modalities: ['text'] })).toMatchObject({ imageInput: false, audioInput: false });
    expect(abilities({ modalities: ['text', 'image', 'audio'] })).toMatchObject({ imageInput: true, audioInput: true });
    expect(abilities({ modalities: ['text'], settings: { cap_image_input: 'true' } }).imageInput).toBe(true);
    expect(abilities({ settings: { cap_image_input: 'false', cap_audio_input: 'false' } })).toMatchObject({ imageInput: false, audioInput: false });
  });
});
