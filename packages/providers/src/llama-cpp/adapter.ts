import { BASE_URL_SETTINGS, BASE_URL_SPELLINGS, connectByBaseUrl, defineOpenAiCompatible, OWN_OUTPUT_LIMIT } from '../openai-compatible/adapter.js';
import { baseUrl, settingsSchema } from '../openai-compatible/settings.js';
import { refuseFields } from '../kit/requirements.js';

export const llamaCpp = defineOpenAiCompatible({
  slug: 'llama-cpp',
  title: 'llama.cpp',
  description: 'GGUF models served by llama-server or llama-cpp-python: comments and CRLF in streams, one choice per answer.',
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: false, logprobs: true, n: false },
    embeddings: { tokenArrays: true, dimensions: false },
  },
  settings: settingsSchema({ ...BASE_URL_SETTINGS, base_url: baseUrl }),
  secretSettings: ['api_key'],
  catalog: { spellings: BASE_URL_SPELLINGS },
  connect: (route) => connectByBaseUrl(route),
  request: { outputLimit: 'max_tokens', developerRole: false },
  refuse: (call) => {
    if (call.operation === 'chat') refuseFields(call.json, [OWN_OUTPUT_LIMIT]);
  },
});
