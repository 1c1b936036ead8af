import type { Operation, RouteAbilities } from '@omg/domain';
import type { ProviderDefinition } from '../spec/provider.js';

/** What the catalog says about a model. */
export interface CatalogModel {
  modelType: string;
  modalities: readonly string[];
  supportsTools: boolean;
  /** 0: not known. */
  contextWindow: number;
}

const MODALITIES: Readonly<Record<Operation, readonly string[]>> = {
  chat: ['text', 'chat', 'llm'],
  embeddings: ['embedding', 'embeddings'],
  images: ['image', 'images'],
};

/** The provider's capabilities, narrowed by what the catalog says about this model. */
export function routeAbilities(entry: CatalogModel, definition: ProviderDefinition): RouteAbilities {
  const { chat, embeddings, images } = definition.capabilities;
  const can: Record<Operation, boolean> = { chat: chat !== undefined, embeddings: embeddings !== undefined, images: images !== undefined };
  const operations = new Set((Object.keys(can) as Operation[]).filter((operation) => can[operation] && serves(entry, operation)));
  return {
    operations,
    stream: chat?.stream ?? false,
    tools: (chat?.tools ?? false) && entry.supportsTools,
    imageInput: chat?.imageInput ?? false,
    jsonSchema: chat?.jsonSchema ?? false,
    logprobs: chat?.logprobs ?? false,
    multipleChoices: chat?.n ?? false,
    tokenArrays: embeddings?.tokenArrays ?? false,
    contextWindow: entry.contextWindow,
  };
}

/** The model's type decides; a plain `llm` with other modalities serves those too. */
function serves(entry: CatalogModel, operation: Operation): boolean {
  if (entry.modelType === 'embedding') return operation === 'embeddings';
  if (entry.modelType === 'image') return operation === 'images';
  if (operation === 'chat') return entry.modelType === 'llm' || entry.modalities.some((m) => MODALITIES.chat.includes(m));
  return entry.modalities.some((m) => MODALITIES[operation].includes(m));
}
