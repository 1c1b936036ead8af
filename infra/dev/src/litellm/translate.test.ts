import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { perThousand, translate } from './translate.js';

/** A configuration as LiteLLM's own documentation shows them, put together. */
const LITELLM = `
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-endpoint-europe.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: "2024-10-21"
      rpm: 6
    model_info: { supports_vision: true, max_input_tokens: 128000, max_output_tokens: 16384, input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001 }
  - model_name: gpt-4o
    litellm_params: { model: gpt-4o, api_key: os.environ/OPENAI_API_KEY, weight: 3, input_cost_per_token: 2.5e-6, output_cost_per_token: 1e-5, cache_read_input_token_cost: 1.25e-6 }
  - model_name: claude
    litellm_params: { model: bedrock/converse/anthropic.claude-3-5-sonnet-20240620-v1:0, aws_region_name: us-east-1, aws_access_key_id: os.environ/AWS_ID, aws_secret_access_key: os.environ/AWS_KEY }
  - model_name: local
    litellm_params: { model: ollama/llama3.1, api_base: "http://ollama:11434", input_cost_per_token: 0, output_cost_per_token: 0 }
  - model_name: house
    litellm_params: { model: openai/my-model, api_base: "http://vllm:8000/v1", api_key: none, temperature: 0.2 }
  - model_name: gemini
    litellm_params: { model: vertex_ai/gemini-2.5-flash, vertex_project: my-project, vertex_location: europe-west4 }
  - model_name: embed
    litellm_params: { model: text-embedding-3-small, api_key: os.environ/OPENAI_API_KEY }
    model_info: { mode: embedding, input_cost_per_token: 0.00000002 }
  - model_name: "anthropic/*"
    litellm_params: { model: "anthropic/*", api_key: os.environ/ANTHROPIC_API_KEY }
  - model_name: strange
    litellm_params: { model: sagemaker/endpoint }
router_settings: { routing_strategy: least-busy, num_retries: 2, timeout: 30, cooldown_time: 60, allowed_fails: 5, fallbacks: [{ gpt-4o: [claude] }], redis_host: os.environ/REDIS_HOST, redis_port: 6379 }
litellm_settings: { drop_params: true, cache: true, success_callback: [langfuse], max_budget: 250 }
general_settings: { master_key: sk-1234-very-secret, database_url: "postgresql://user:pass@db/litellm" }
`;

const { router, warnings } = translate(parse(LITELLM));
const catalog = router['model_catalog'] as Record<string, unknown>[];

describe('a LiteLLM configuration as router.yaml', () => {
  it('keeps every model that has an equal, two of one name as two routes of one alias', () => {
    expect(catalog.map((entry) => [entry['alias'], entry['provider'], entry['provider_model']])).toEqual([
      ['gpt-4o', 'azure', 'gpt-4o-eu'],
      ['gpt-4o', 'openai', 'gpt-4o'],
      ['claude', 'bedrock', 'anthropic.claude-3-5-sonnet-20240620-v1:0'],
      ['local', 'ollama', 'llama3.1'],
      ['house', 'openai', 'my-model'],
      ['gemini', 'vertex', 'gemini-2.5-flash'],
      ['embed', 'openai', 'text-embedding-3-small'],
    ]);
  });

  it('turns credentials, addresses, regions and abilities into the fields of an entry', () => {
    expect(catalog[0]).toEqual({
      alias: 'gpt-4o',
      provider: 'azure',
      provider_model: 'gpt-4o-eu',
      endpoint: 'https://my-endpoint-europe.openai.azure.com/',
      api_key: '${AZURE_API_KEY_EU}',
      api_version: '2024-10-21',
      model_type: 'llm',
      modalities: ['text', 'image'],
      supports_tools: true,
      context_window: 128000,
      max_output_tokens: 16384,
      price_input: 0.0025,
      price_output: 0.01,
    });
    expect(catalog[1]).toMatchObject({ weight: 3, price_cached_input: 0.00125 });
    expect(catalog[2]).toMatchObject({ region: 'us-east-1', metadata: { aws_access_key_id: '${AWS_ID}', aws_secret_access_key: '${AWS_KEY}' } });
    expect(catalog[3]).toMatchObject({ endpoint: 'http://ollama:11434/v1' });
    expect(catalog[5]).toMatchObject({ region: 'europe-west4', metadata: { gcp_project_id: 'my-project' } });
    expect(catalog[6]).toMatchObject({ model_type: 'embedding', modalities: ['embeddings'], price_input: 0.00002 });
  });

  it('takes over timeouts, cool-down and budget', () => {
    expect(router).toMatchObject({
      server: { sync_timeout: '30s', provider_timeout: '30s' },
      health: { cooldown: '60s', failure_threshold: 5 },
      budgets: { default_usd: 250 },
    });
  });

  it('names everything that has no equal, and no value of it', () => {
    const places = warnings.map((warning) => warning.slice(0, warning.indexOf(':')));
    for (const place of [
      'model_list[0].litellm_params.rpm',
      'model_list[4].litellm_params.temperature',
      'model_list[7]',
      'model_list[8]',
      'router_settings.routing_strategy',
      'router_settings.num_retries',
      'router_settings.fallbacks',
      'router_settings.redis_*',
      'litellm_settings.drop_params',
      'litellm_settings.cache',
      'litellm_settings.success_callback',
      'litellm_settings.max_budget',
      'general_settings.master_key',
      'general_settings.database_url',
    ])
      expect(places).toContain(place);
    expect(warnings.join('\n')).not.toMatch(/sk-1234|user:pass/);
  });

  it.each([
    [0.0000011, 0.0011],
    [3e-6, 0.003],
    [1.5e-7, 0.00015],
    [0, 0],
  ])('converts %d USD per token to exactly %d per 1 000', (perToken, expected) => {
    expect(perThousand(perToken)).toBe(expected);
  });

  it.each([[null], ['text'], [{ model_list: 'no list' }], [{ model_list: [null, { model_name: 'a' }] }]])(
    'says what is wrong with %j instead of failing',
    (input) => {
      expect(translate(input).warnings.length).toBeGreaterThan(0);
    },
  );
});
