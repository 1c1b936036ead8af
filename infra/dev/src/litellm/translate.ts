import { resolveModel, type ResolvedModel } from './providers.ts';

/**
 * LiteLLM's proxy configuration as a `router.yaml`. Pure: text in the maps, no files, no environment. What has no equal is told in
 * `warnings`, with its place, never dropped in silence and never with a value, which may be a secret.
 */
export interface Translation {
  router: Record<string, unknown>;
  warnings: string[];
}

type Map_ = Record<string, unknown>;

const isMap = (value: unknown): value is Map_ => typeof value === 'object' && value !== null && !Array.isArray(value);
const mapOf = (value: unknown): Map_ => (isMap(value) ? value : {});

/** `os.environ/NAME` is LiteLLM's way to name a variable; the router's is `${NAME}`. */
function value(raw: unknown): unknown {
  const match = typeof raw === 'string' ? /^os\.environ\/(\w+)$/.exec(raw) : null;
  return match ? `\${${match[1]}}` : raw;
}

/**
 * USD per token to USD per 1 000 tokens, by moving the decimal point of the shortest notation: a product of floating-point numbers
 * would turn 1.1e-6 into 0.0010999999999999998.
 */
export function perThousand(perToken: number): number {
  const [digits = '0', exponent = '0'] = perToken.toExponential().split('e');
  return Number(`${digits}e${Number(exponent) + 3}`);
}

const PRICES: Readonly<Record<string, string>> = {
  input_cost_per_token: 'price_input',
  output_cost_per_token: 'price_output',
  cache_read_input_token_cost: 'price_cached_input',
  cache_creation_input_token_cost: 'price_cache_write',
  output_cost_per_reasoning_token: 'price_reasoning',
};

/** Parameters of one model: ours by theirs; a name with `metadata.` goes to the entry's metadata. */
const PARAMETERS: Readonly<Record<string, string>> = {
  api_key: 'api_key',
  api_base: 'endpoint',
  base_url: 'endpoint',
  api_version: 'api_version',
  organization: 'metadata.openai_organization',
  aws_region_name: 'region',
  aws_access_key_id: 'metadata.aws_access_key_id',
  aws_secret_access_key: 'metadata.aws_secret_access_key',
  aws_session_token: 'metadata.aws_session_token',
  aws_profile_name: 'metadata.aws_profile',
  vertex_project: 'metadata.gcp_project_id',
  vertex_location: 'region',
  vertex_credentials: 'metadata.gcp_credentials_json',
  tenant_id: 'metadata.azure_tenant_id',
  client_id: 'metadata.azure_client_id',
  client_secret: 'metadata.azure_client_secret',
};

const MODES: Readonly<Record<string, { model_type: string; modalities: string[] }>> = {
  chat: { model_type: 'llm', modalities: ['text'] },
  completion: { model_type: 'llm', modalities: ['text'] },
  embedding: { model_type: 'embedding', modalities: ['embeddings'] },
  image_generation: { model_type: 'image', modalities: ['image'] },
};

function put(entry: Map_, name: string, content: unknown): void {
  if (!name.startsWith('metadata.')) {
    entry[name] = content;
    return;
  }
  entry['metadata'] = { ...mapOf(entry['metadata']), [name.slice('metadata.'.length)]: content };
}

function addParameters(entry: Map_, params: Map_, place: string, warnings: string[]): void {
  for (const [name, raw] of Object.entries(params)) {
    if (name === 'model' || name === 'weight' || Object.hasOwn(PRICES, name)) continue;
    const ours = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    if (ours !== undefined) put(entry, ours, value(raw));
    else if (name === 'rpm' || name === 'tpm') warnings.push(`${place}.${name}: a route has no limit of its own; limit tenants and keys, or weigh the routes`);
    else warnings.push(`${place}.${name}: has no equal, left out`);
  }
  if (typeof params['weight'] === 'number' && params['weight'] >= 1) entry['weight'] = Math.round(params['weight']);
}

function addInfo(entry: Map_, params: Map_, info: Map_, place: string, warnings: string[]): void {
  const mode = MODES[typeof info['mode'] === 'string' ? info['mode'] : 'chat'];
  if (!mode) warnings.push(`${place}.model_info.mode: only chat, embedding and image_generation are served; the entry is switched off`);
  Object.assign(entry, mode ?? { enabled: false });
  if (info['supports_vision'] === true) entry['modalities'] = ['text', 'image'];
  // LiteLLM lets tools through unless told otherwise.
  if (entry['model_type'] === 'llm') entry['supports_tools'] = info['supports_function_calling'] !== false;
  if (typeof info['max_input_tokens'] === 'number') entry['context_window'] = info['max_input_tokens'];
  const output = info['max_output_tokens'] ?? info['max_tokens'];
  if (typeof output === 'number') entry['max_output_tokens'] = output;
  for (const [theirs, ours] of Object.entries(PRICES)) {
    const price = params[theirs] ?? info[theirs];
    // YAML reads 1e-6 (no point) as a text.
    if (price !== undefined && price !== null && Number.isFinite(Number(price))) entry[ours] = perThousand(Number(price));
  }
  if (mode && entry['price_input'] === undefined) {
    warnings.push(`${place}: no price; LiteLLM brings a price list, here each entry names its own (price_input, price_output), else usage is unpriced`);
  }
}

function entryOf(raw: unknown, place: string, warnings: string[]): Map_ | undefined {
  const item = mapOf(raw);
  const params = mapOf(item['litellm_params']);
  const alias = item['model_name'];
  const name = params['model'];
  if (typeof alias !== 'string' || typeof name !== 'string') {
    warnings.push(`${place}: needs model_name and litellm_params.model, left out`);
    return undefined;
  }
  if (alias.includes('*') || name.includes('*')) {
    warnings.push(`${place}: wildcards have no equal; name each model`);
    return undefined;
  }
  const base = value(params['api_base'] ?? params['base_url']);
  const resolved: ResolvedModel | undefined = resolveModel(name, base !== undefined);
  if (!resolved) {
    warnings.push(`${place}: no provider here serves this model; with an api_base it would be taken as OpenAI-compatible`);
    return undefined;
  }
  const entry: Map_ = { alias, provider: resolved.target.provider, provider_model: resolved.model };
  if (resolved.target.endpoint !== undefined) entry['endpoint'] = resolved.target.endpoint;
  addParameters(entry, params, `${place}.litellm_params`, warnings);
  // LiteLLM speaks Ollama's own API, the router its OpenAI-compatible one, which lies under /v1.
  if (resolved.prefix.startsWith('ollama') && typeof entry['endpoint'] === 'string' && /^https?:\/\/[^/]+\/?$/.test(entry['endpoint'])) {
    entry['endpoint'] = `${entry['endpoint'].replace(/\/$/, '')}/v1`;
  }
  addInfo(entry, params, mapOf(item['model_info']), place, warnings);
  return entry;
}

const seconds = (raw: unknown): string | undefined => (Number(raw) > 0 ? `${Number(raw)}s` : undefined);

function routerSettings(settings: Map_, router: Map_, warnings: string[]): void {
  for (const [name, raw] of Object.entries(settings)) {
    if (name === 'cooldown_time') router['health'] = { ...mapOf(router['health']), cooldown: seconds(raw) };
    else if (name === 'allowed_fails') router['health'] = { ...mapOf(router['health']), failure_threshold: Number(raw) };
    else if (name === 'timeout') router['server'] = { ...mapOf(router['server']), sync_timeout: seconds(raw), provider_timeout: seconds(raw) };
    else if (name === 'stream_timeout') router['server'] = { ...mapOf(router['server']), stream_max_duration: seconds(raw) };
    else if (name === 'redis_host') warnings.push('router_settings.redis_*: set ROUTER_REDIS_URL; Redis is required here');
    else if (name === 'num_retries')
      warnings.push('router_settings.num_retries: every other route is tried once before the first byte, within edge.retry_budget_ratio');
    else if (name === 'routing_strategy') {
      if (raw !== 'simple-shuffle') warnings.push('router_settings.routing_strategy: routes are chosen by weight among the healthy ones');
    } else if (name === 'model_group_alias') warnings.push('router_settings.model_group_alias: write an entry for each further alias');
    else if (!name.startsWith('redis_'))
      warnings.push(
        `router_settings.${name}: ${/fallbacks/.test(name) ? 'failover is among the routes of one alias: give them the same alias' : 'has no equal, left out'}`,
      );
  }
}

const GENERAL: Readonly<Record<string, string>> = {
  master_key:
    'there is no key that may do everything: sign in as administrator, or make an admin API token; make virtual keys anew, LiteLLM stores only hashes',
  database_url: 'set ROUTER_DATABASE_URL to an empty database; LiteLLM tables are not read',
  alerting: 'budget alerts go by mail and webhook (budgets.alert.*), operational ones by Prometheus rules',
};

/** `input` is the parsed LiteLLM configuration. */
export function translate(input: unknown): Translation {
  const config = mapOf(input);
  const warnings: string[] = [];
  const router: Map_ = {};
  const models = Array.isArray(config['model_list']) ? config['model_list'] : [];
  if (models.length === 0) warnings.push('model_list: empty or missing');
  const catalog = models.map((raw, index) => entryOf(raw, `model_list[${index}]`, warnings)).filter((entry) => entry !== undefined);
  routerSettings(mapOf(config['router_settings']), router, warnings);
  const litellm = mapOf(config['litellm_settings']);
  // The same two settings are also read from here by LiteLLM.
  const { request_timeout: timeout, ...rest } = litellm;
  if (seconds(timeout) !== undefined && !isMap(router['server'])) router['server'] = { sync_timeout: seconds(timeout), provider_timeout: seconds(timeout) };
  if (rest['max_budget'] !== undefined) router['budgets'] = { default_usd: Number(rest['max_budget']) };
  for (const name of Object.keys(rest)) {
    if (name === 'max_budget') warnings.push('litellm_settings.max_budget: became the budget of each tenant (budgets.default_usd), not one of the whole proxy');
    else if (name === 'cache' || name === 'cache_params') warnings.push(`litellm_settings.${name}: answers are not cached`);
    else if (name.includes('callback')) warnings.push(`litellm_settings.${name}: use traces (OTLP) and metrics; prompts are never exported`);
    else warnings.push(`litellm_settings.${name}: has no equal, left out`);
  }
  for (const name of Object.keys(mapOf(config['general_settings']))) warnings.push(`general_settings.${name}: ${GENERAL[name] ?? 'has no equal, left out'}`);
  for (const name of Object.keys(config)) {
    if (!['model_list', 'router_settings', 'litellm_settings', 'general_settings', 'environment_variables'].includes(name))
      warnings.push(`${name}: has no equal, left out`);
  }
  if (config['environment_variables'] !== undefined) warnings.push('environment_variables: set them in the environment of the services');
  router['model_catalog'] = catalog;
  return { router, warnings };
}
