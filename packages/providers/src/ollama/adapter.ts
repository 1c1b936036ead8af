import { BASE_URL_SETTINGS, BASE_URL_SPELLINGS, connectByBaseUrl, defineOpenAiCompatible } from '../openai-compatible/adapter.js';
import { settingsSchema } from '../openai-compatible/settings.js';
import { refuseFields, refuseRemoteImages, refuseToolChoice } from '../kit/requirements.js';

export const ollama = defineOpenAiCompatible({
  slug: 'ollama',
  title: 'Ollama',
  description: 'Models served by Ollama under its /v1. What Ollama would ignore in silence is refused by name.',
  capabilities: {
    chat: { stream: true, tools: true, imageInput: true, jsonSchema: true, reasoning: true, logprobs: false, n: false },
    embeddings: { tokenArrays: false, dimensions: true },
  },
  settings: settingsSchema(BASE_URL_SETTINGS),
  secretSettings: ['api_key'],
  catalog: { spellings: BASE_URL_SPELLINGS },
  connect: (route) => connectByBaseUrl(route, 'http://127.0.0.1:11434/v1'),
  request: { outputLimit: 'max_tokens', developerRole: false },
  refuse: (call) => {
    if (call.operation !== 'chat') return;
    refuseFields(call.json, ['logit_bias']);
    refuseToolChoice(call.json, ['auto']);
    refuseRemoteImages(call.json);
  },
});
