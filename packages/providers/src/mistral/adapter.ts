import { BASE_URL_SETTINGS, BASE_URL_SPELLINGS, connectByBaseUrl, defineOpenAiCompatible } from '../openai-compatible/adapter.js';
import { headerText, settingsSchema } from '../openai-compatible/settings.js';
import { refuseFields } from '../kit/requirements.js';

export const mistral = defineOpenAiCompatible({
  slug: 'mistral',
  title: 'Mistral',
  description: "Mistral's own API: OpenAI's wire with a few names of its own, and usage on the last chunk without being asked.",
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: false, n: true },
    embeddings: { tokenArrays: false, dimensions: false },
  },
  settings: settingsSchema({ ...BASE_URL_SETTINGS, api_key: headerText }),
  secretSettings: ['api_key'],
  catalog: { spellings: BASE_URL_SPELLINGS },
  connect: (route) => connectByBaseUrl(route, 'https://api.mistral.ai/v1'),
  request: { outputLimit: 'max_tokens', streamOptions: false, developerRole: false, renames: { seed: 'random_seed' } },
  refuse: (call) => {
    if (call.operation === 'chat') refuseFields(call.json, ['logit_bias']);
  },
});
