import { anthropic } from './anthropic/adapter.js';
import { azure } from './azure/adapter.js';
import { bedrock } from './bedrock/adapter.js';
import { huggingFace } from './huggingface/adapter.js';
import { llamaCpp } from './llama-cpp/adapter.js';
import { mistral } from './mistral/adapter.js';
import { ollama } from './ollama/adapter.js';
import { openAiCompatible } from './openai-compatible/adapter.js';
import { openAi } from './openai/adapter.js';
import type { ProviderDefinition } from './spec/provider.js';
import { vertex } from './vertex/adapter.js';
import { vllm } from './vllm/adapter.js';

/** Every provider of the gateway, one line each; docs, admin forms and the battery follow from it. */
const PROVIDERS: readonly ProviderDefinition[] = [openAi, azure, anthropic, bedrock, vertex, huggingFace, mistral, ollama, vllm, llamaCpp, openAiCompatible];

/** Other spellings of a slug that catalogs use. */
const OTHER_SLUGS: Readonly<Record<string, string>> = { openai_compatible: 'openai-compatible' };

const BY_SLUG = new Map(PROVIDERS.map((provider) => [provider.slug, provider]));

/** The provider that a catalog entry names, in any case; undefined when there is none. */
export function getProvider(slug: string): ProviderDefinition | undefined {
  const name = slug.trim().toLowerCase();
  return BY_SLUG.get(OTHER_SLUGS[name] ?? name);
}

/** All providers, in the registry's order. */
export function listProviders(): readonly ProviderDefinition[] {
  return PROVIDERS;
}
