import type { RouteDocument } from '@omg/contracts';
import type { Operation, RouteAbilities } from '@omg/domain';
import type { ProviderDefinition } from '@omg/providers';
import type { RouteEntry } from '../snapshot/config-snapshot.js';

export interface RouteBuilding {
  /** Undefined: there is no such provider. */
  provider(slug: string): ProviderDefinition | undefined;
  /** Opens a sealed setting; throws when its key is not known here. */
  open(sealed: string, context: { routeId: string; name: string }): string;
}

const NOTHING: RouteAbilities = {
  operations: new Set(),
  stream: false,
  tools: false,
  imageInput: false,
  jsonSchema: false,
  logprobs: false,
  multipleChoices: false,
  tokenArrays: false,
  contextWindow: 0,
};

/** Binds a route's document to its provider. A broken entry disables only itself. */
export function buildRoute(doc: RouteDocument, building: RouteBuilding): RouteEntry {
  const price = doc.price as RouteEntry['price'];
  try {
    const definition = building.provider(doc.provider);
    if (!definition) throw new Error(`unknown provider: ${doc.provider}`);
    const settings: Record<string, string> = { ...doc.settings };
    for (const [name, sealed] of Object.entries(doc.sealed)) settings[name] = building.open(sealed, { routeId: doc.id, name });
    const adapter = definition.create({
      id: doc.id,
      providerModel: doc.providerModel,
      deployment: doc.deployment,
      modalities: doc.modalities,
      maxOutputTokens: doc.maxOutputTokens,
      settings,
    });
    return { doc, price, adapter, abilities: abilitiesOf(doc, definition), brokenReason: undefined };
  } catch (error) {
    // Abilities of a broken route still count: the client must hear 503, not that its request is wrong.
    const definition = building.provider(doc.provider);
    const abilities = definition ? abilitiesOf(doc, definition) : NOTHING;
    return { doc, price, adapter: undefined, abilities, brokenReason: error instanceof Error ? error.message : String(error) };
  }
}

const MODALITIES: Readonly<Record<Operation, readonly string[]>> = {
  chat: ['text', 'chat', 'llm'],
  embeddings: ['embedding', 'embeddings'],
  images: ['image', 'images'],
};

/** The provider's capabilities, narrowed by what the catalog says about this model. */
function abilitiesOf(doc: RouteDocument, definition: ProviderDefinition): RouteAbilities {
  const { chat, embeddings, images } = definition.capabilities;
  const can: Record<Operation, boolean> = { chat: chat !== undefined, embeddings: embeddings !== undefined, images: images !== undefined };
  const operations = new Set((Object.keys(can) as Operation[]).filter((operation) => can[operation] && serves(doc, operation)));
  return {
    operations,
    stream: chat?.stream ?? false,
    tools: (chat?.tools ?? false) && doc.supportsTools,
    imageInput: chat?.imageInput ?? false,
    jsonSchema: chat?.jsonSchema ?? false,
    logprobs: chat?.logprobs ?? false,
    multipleChoices: chat?.n ?? false,
    tokenArrays: embeddings?.tokenArrays ?? false,
    contextWindow: doc.contextWindow,
  };
}

/** The model's type decides; a plain `llm` with other modalities serves those too. */
function serves(doc: RouteDocument, operation: Operation): boolean {
  if (doc.modelType === 'embedding') return operation === 'embeddings';
  if (doc.modelType === 'image') return operation === 'images';
  if (operation === 'chat') return doc.modelType === 'llm' || doc.modalities.some((m) => MODALITIES.chat.includes(m));
  return doc.modalities.some((m) => MODALITIES[operation].includes(m));
}
