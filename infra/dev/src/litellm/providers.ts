/**
 * How LiteLLM's `<prefix>/<model>` becomes a catalog entry. A prefix that is not here but speaks OpenAI's wire needs an `api_base`.
 */
interface Target {
  provider: string;
  /** Base URL where LiteLLM knows it by itself. */
  endpoint?: string;
}

export const PREFIXES: Readonly<Record<string, Target>> = {
  openai: { provider: 'openai' },
  azure: { provider: 'azure' },
  anthropic: { provider: 'anthropic' },
  bedrock: { provider: 'bedrock' },
  vertex_ai: { provider: 'vertex' },
  huggingface: { provider: 'huggingface' },
  ollama: { provider: 'ollama', endpoint: 'http://localhost:11434/v1' },
  ollama_chat: { provider: 'ollama', endpoint: 'http://localhost:11434/v1' },
  hosted_vllm: { provider: 'vllm' },
  vllm: { provider: 'vllm' },
  mistral: { provider: 'mistral' },
  groq: { provider: 'openai-compatible', endpoint: 'https://api.groq.com/openai/v1' },
  deepseek: { provider: 'openai-compatible', endpoint: 'https://api.deepseek.com/v1' },
  openrouter: { provider: 'openai-compatible', endpoint: 'https://openrouter.ai/api/v1' },
  together_ai: { provider: 'openai-compatible', endpoint: 'https://api.together.xyz/v1' },
  fireworks_ai: { provider: 'openai-compatible', endpoint: 'https://api.fireworks.ai/inference/v1' },
  xai: { provider: 'openai-compatible', endpoint: 'https://api.x.ai/v1' },
  openai_like: { provider: 'openai-compatible' },
  litellm_proxy: { provider: 'openai-compatible' },
};

/** Names of models that LiteLLM recognises without a prefix. */
const BARE: readonly [RegExp, string][] = [
  [/^(gpt-|o\d|chatgpt-|text-embedding-|dall-e-)/, 'openai'],
  [/^claude-/, 'anthropic'],
];

export interface ResolvedModel {
  prefix: string;
  target: Target;
  model: string;
}

/** `model` of `litellm_params`; undefined when nothing here can serve it. */
export function resolveModel(name: string, hasApiBase: boolean): ResolvedModel | undefined {
  const slash = name.indexOf('/');
  const prefix = slash < 0 ? '' : name.slice(0, slash);
  const target = Object.hasOwn(PREFIXES, prefix) ? PREFIXES[prefix] : undefined;
  if (target) {
    // bedrock/converse/<id> and azure/responses/<name> choose an API, which the gateway does by itself.
    return { prefix, target, model: name.slice(slash + 1).replace(/^(converse|invoke|responses)\//, '') };
  }
  const bare = BARE.find(([pattern]) => pattern.test(name))?.[1];
  if (bare !== undefined) return { prefix: bare, target: PREFIXES[bare]!, model: name };
  return hasApiBase ? { prefix, target: { provider: 'openai-compatible' }, model: slash < 0 ? name : name.slice(slash + 1) } : undefined;
}
