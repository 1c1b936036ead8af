import { z } from 'zod';
import type { ProbeContext, ProviderAdapter, ProviderCall, ProviderDefinition, ProviderReply, ProviderRoute } from '../spec/provider.js';
import { requireCapabilities } from '../kit/requirements.js';
import { connectByBaseUrl, defineOpenAiCompatible } from '../openai-compatible/adapter.js';
import { baseUrl, headerText, setting, settingsSchema, withoutTrailingSlash } from '../openai-compatible/settings.js';
import { HuggingFaceEmbeddings } from './embeddings.js';

const CHAT_ROUTER = 'https://router.huggingface.co/v1';

const capabilities: ProviderDefinition['capabilities'] = {
  chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: true, n: true },
  embeddings: { tokenArrays: false, dimensions: true },
};

const flag = z.enum(['true', 'false']).optional();
const settings = settingsSchema({
  endpoint: baseUrl.optional(),
  hf_base_url: baseUrl.optional(),
  hf_chat_base_url: baseUrl.optional(),
  api_key: headerText.optional(),
  hf_bill_to: headerText.optional(),
  hf_normalize: flag,
  hf_truncate: flag,
  hf_max_batch: z
    .string()
    .regex(/^[1-9]\d{0,3}$/, 'must be a number from 1 to 9999')
    .optional(),
});

/** Chat speaks OpenAI's wire, by the inference router or under a dedicated endpoint's `/v1`. */
const chat = defineOpenAiCompatible({
  slug: 'huggingface',
  title: '',
  description: '',
  capabilities,
  settings,
  secretSettings: [],
  request: { developerRole: false },
  connect: (route) => {
    const endpoint = setting(route.settings, 'endpoint');
    const base = endpoint === undefined ? (setting(route.settings, 'hf_chat_base_url') ?? CHAT_ROUTER) : `${withoutTrailingSlash(endpoint)}/v1`;
    const connection = connectByBaseUrl({ ...route, settings: { ...route.settings, base_url: base } });
    const headers = authorization(route);
    return { ...connection, authorize: () => headers, ...(endpoint === undefined ? {} : { probeUrl: `${withoutTrailingSlash(endpoint)}/health` }) };
  },
});

function authorization(route: ProviderRoute): Record<string, string> {
  const key = setting(route.settings, 'api_key');
  const billTo = setting(route.settings, 'hf_bill_to');
  return { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...(billTo === undefined ? {} : { 'x-hf-bill-to': billTo }) };
}

class HuggingFaceAdapter implements ProviderAdapter {
  private readonly chat: ProviderAdapter;
  private readonly embeddings: HuggingFaceEmbeddings;

  constructor(route: ProviderRoute) {
    this.chat = chat.create(route);
    this.embeddings = new HuggingFaceEmbeddings(route, { 'content-type': 'application/json', accept: 'application/json', ...authorization(route) });
  }

  async invoke(call: ProviderCall): Promise<ProviderReply> {
    if (call.operation !== 'embeddings') return this.chat.invoke(call);
    requireCapabilities(call, capabilities);
    return this.embeddings.invoke(call);
  }

  /** `/health` of a dedicated endpoint, else the router's list of models. */
  probe(context: ProbeContext): Promise<void> {
    return this.chat.probe!(context);
  }
}

export const huggingFace: ProviderDefinition = {
  slug: 'huggingface',
  title: 'Hugging Face',
  description: 'Chat through the inference router or an endpoint of your own; embeddings by text-embeddings-inference or the router.',
  capabilities,
  settings,
  secretSettings: ['api_key'],
  catalog: {
    // The shared token belongs to Hugging Face's own hosts: an endpoint elsewhere never gets it.
    shared: [{ values: { api_key: 'hugging_face_token' }, unless: ['api_key', 'hf_base_url', 'hf_chat_base_url', 'endpoint'] }],
    places: ['endpoint', 'hf_base_url', 'hf_chat_base_url'],
  },
  create: (route) => new HuggingFaceAdapter(route),
};
