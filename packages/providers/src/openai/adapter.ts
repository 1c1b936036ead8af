import { BASE_URL_SETTINGS, BASE_URL_SPELLINGS, connectByBaseUrl, defineOpenAiCompatible } from '../openai-compatible/adapter.js';
import { headerText, settingsSchema } from '../openai-compatible/settings.js';

export const openAi = defineOpenAiCompatible({
  slug: 'openai',
  title: 'OpenAI',
  description: "OpenAI's own API. Bodies and streams pass through unchanged but for the model's name.",
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: true, n: true },
    embeddings: { tokenArrays: true, dimensions: true },
    images: { url: true },
  },
  settings: settingsSchema({ ...BASE_URL_SETTINGS, api_key: headerText }),
  secretSettings: ['api_key'],
  // OpenAI's key goes to OpenAI only: an entry with another server brings its own.
  catalog: { spellings: BASE_URL_SPELLINGS, shared: [{ values: { api_key: 'openai_key' }, unless: ['base_url', 'api_key'] }] },
  connect: (route) => connectByBaseUrl(route, 'https://api.openai.com/v1'),
  // Its reasoning models refuse `max_tokens`; all of its chat models know the newer name.
  request: { outputLimit: 'max_completion_tokens' },
  // A call that the client forced by `tool_choice` ends with `stop`, and clients of OpenAI know it.
  stopMeansToolCalls: false,
});
