import { BASE_URL_SETTINGS, BASE_URL_SPELLINGS, connectByBaseUrl, defineOpenAiCompatible } from '../openai-compatible/adapter.js';
import { baseUrl, settingsSchema } from '../openai-compatible/settings.js';

export const vllm = defineOpenAiCompatible({
  slug: 'vllm',
  title: 'vLLM',
  description: "Models served by vLLM's OpenAI server. What a model lacks, such as a tool parser, the server says itself.",
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: true, n: true },
    embeddings: { tokenArrays: true, dimensions: true },
  },
  settings: settingsSchema({ ...BASE_URL_SETTINGS, base_url: baseUrl }),
  secretSettings: ['api_key'],
  catalog: { spellings: BASE_URL_SPELLINGS },
  connect: (route) => connectByBaseUrl(route),
  // Most chat templates drop a role that they do not know in silence.
  request: { developerRole: false },
});
