import type { Operation, RouteAbilities } from '@omg/domain';
import type { ProviderDefinition } from '../spec/provider.js';

/** What the catalog says about a model. */
export interface CatalogModel {
  modelType: string;
  modalities: readonly string[];
  supportsTools: boolean;
  /** 0: not known. */
  contextWindow: number;
  providerModel: string;
  /** Metadata and settings of the entry; `cap_image_input` and `cap_audio_input` in them overrule the modalities. */
  settings?: unknown;
}

const MODALITIES: Readonly<Record<Operation, readonly string[]>> = {
  chat: ['text', 'chat', 'llm'],
  embeddings: ['embedding', 'embeddings'],
  images: ['image', 'images'],
};
/** Types that no operation of this gateway serves; any other name, such as `llm` or `chat`, is a language model's. */
const OTHER_TYPES: ReadonlySet<string> = new Set(['audio', 'speech', 'tts', 'stt', 'transcription', 'moderation', 'rerank', 'video']);
const IMAGE_INPUT = ['image', 'images', 'vision'];
const AUDIO_INPUT = ['audio'];

/** Names by which an entry that says nothing about its model is known not to be a chat model. */
const NAMED = ['embeddings', 'images'] as const;
const NAMES: Readonly<Record<(typeof NAMED)[number], RegExp>> = {
  embeddings: /embed/i,
  images: /dall-e|gpt-image|imagen|titan-image|nova-canvas|stable-diffusion|stable-image|sdxl/i,
};

/** The provider's capabilities, narrowed by what the catalog says about this model. */
export function routeAbilities(entry: CatalogModel, definition: Pick<ProviderDefinition, 'capabilities'>): RouteAbilities {
  const { chat, embeddings, images } = definition.capabilities;
  const can: Record<Operation, boolean> = { chat: chat !== undefined, embeddings: embeddings !== undefined, images: images !== undefined };
  const operations = new Set((Object.keys(can) as Operation[]).filter((operation) => can[operation] && serves(entry, operation)));
  return {
    operations,
    stream: chat?.stream ?? false,
    tools: (chat?.tools ?? false) && entry.supportsTools,
    imageInput: (chat?.imageInput ?? false) && takes(entry, 'cap_image_input', IMAGE_INPUT),
    audioInput: takes(entry, 'cap_audio_input', AUDIO_INPUT),
    jsonSchema: chat?.jsonSchema ?? false,
    logprobs: chat?.logprobs ?? false,
    multipleChoices: chat?.n ?? false,
    tokenArrays: embeddings?.tokenArrays ?? false,
    contextWindow: entry.contextWindow,
  };
}

/**
 * The model's type decides, then its modalities, then its name. What a route cannot do must be refused here: upstream it would
 * end as 404 and count against the route for everybody. So a picture beside text is what a chat model reads, not what it draws.
 */
function serves(entry: CatalogModel, operation: Operation): boolean {
  const { modelType, modalities } = entry;
  if (modelType.startsWith('embedding')) return operation === 'embeddings';
  if (modelType.startsWith('image')) return operation === 'images';
  const isLanguageModel = !OTHER_TYPES.has(modelType);
  const byName = NAMED.find((name) => NAMES[name].test(entry.providerModel));
  if (modalities.length === 0) return isLanguageModel && operation === (byName ?? 'chat');
  const text = has(modalities, MODALITIES.chat);
  switch (operation) {
    case 'chat':
      return text || (isLanguageModel && !has(modalities, [...MODALITIES.embeddings, ...MODALITIES.images]));
    case 'images':
      return has(modalities, MODALITIES.images) && (!text || byName === 'images');
    default:
      return has(modalities, MODALITIES.embeddings);
  }
}

/** An entry without modalities says nothing: then the provider judges. */
function takes(entry: CatalogModel, setting: string, modalities: readonly string[]): boolean {
  const forced = (entry.settings as Record<string, unknown> | null | undefined)?.[setting];
  if (forced === 'true' || forced === 'false') return forced === 'true';
  return entry.modalities.length === 0 || has(entry.modalities, modalities);
}

function has(modalities: readonly string[], wanted: readonly string[]): boolean {
  return modalities.some((modality) => wanted.includes(modality));
}
