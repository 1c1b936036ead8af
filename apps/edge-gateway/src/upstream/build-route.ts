import type { RouteDocument } from '@omg/contracts';
import { routeAbilities, type ProviderDefinition } from '@omg/providers';
import type { RouteEntry } from '../snapshot/config-snapshot.js';

export interface RouteBuilding {
  /** Undefined: there is no such provider. */
  provider(slug: string): ProviderDefinition | undefined;
  /** Opens a sealed setting; throws when its key is not known here. */
  open(sealed: string, context: { routeId: string; name: string }): string;
}

/** What a provider that nobody knows may be able to do, as far as its entry tells. */
const ANYTHING: Pick<ProviderDefinition, 'capabilities'> = {
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: true, n: true },
    embeddings: { dimensions: true, tokenArrays: true },
    images: { url: true },
  },
};

/** Binds a route's document to its provider. A broken entry disables only itself. */
export function buildRoute(doc: RouteDocument, building: RouteBuilding): RouteEntry {
  const price = doc.price as RouteEntry['price'];
  const { id, weight, enabled } = doc;
  try {
    const definition = building.provider(doc.provider);
    if (!definition) throw new Error(`unknown provider: ${doc.provider}`);
    if (doc.invalid !== undefined) throw new Error(doc.invalid);
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
    return { id, weight, enabled, usable: true, doc, price, adapter, abilities: routeAbilities(doc, definition), brokenReason: undefined };
  } catch (error) {
    // Abilities of a broken route still count: the client must hear 503, not that its request is wrong.
    const abilities = routeAbilities(doc, building.provider(doc.provider) ?? ANYTHING);
    const brokenReason = error instanceof Error ? error.message : String(error);
    return { id, weight, enabled, usable: false, doc, price, adapter: undefined, abilities, brokenReason };
  }
}
