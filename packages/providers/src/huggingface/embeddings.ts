import type { JsonReply, ProviderCall, ProviderRoute } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { asVector, embeddingsBody, textInputsOf } from '../kit/embeddings.js';
import { readBilled } from '../kit/consumed.js';
import { unsupportedParameter } from '../kit/errors.js';
import { post } from '../kit/http.js';
import { inputOnly, mapLimit } from '../kit/map-limit.js';
import { tryParseJson } from '../kit/safe-json.js';
import { setting, withoutTrailingSlash } from '../openai-compatible/settings.js';

/**
 * Embeddings by text-embeddings-inference (`/embed`, a dedicated endpoint) or by the inference router's feature
 * extraction. Both take a limited batch: larger inputs are split, a few calls run at once, and the order is kept.
 */

const DEFAULT_ROUTER = 'https://router.huggingface.co/hf-inference';
/** TEI's default `max_client_batch_size`. */
const DEFAULT_BATCH = 32;
const CALLS_AT_ONCE = 4;

interface BatchAnswer {
  vectors: number[][];
  /** Undefined where the server does not count. */
  tokens: number | undefined;
}

export class HuggingFaceEmbeddings {
  private readonly url: string;
  private readonly isDedicated: boolean;
  private readonly options: Record<string, unknown> = {};
  private readonly batchSize: number;

  constructor(
    route: ProviderRoute,
    private readonly headers: Record<string, string>,
  ) {
    const { settings } = route;
    const endpoint = setting(settings, 'endpoint');
    this.isDedicated = endpoint !== undefined;
    const router = withoutTrailingSlash(setting(settings, 'hf_base_url') ?? DEFAULT_ROUTER);
    this.url =
      endpoint === undefined ? `${router}/models/${modelPath(route.providerModel)}/pipeline/feature-extraction` : `${withoutTrailingSlash(endpoint)}/embed`;
    for (const name of ['normalize', 'truncate']) {
      const value = setting(settings, `hf_${name}`);
      if (value !== undefined) this.options[name] = value === 'true';
    }
    this.batchSize = Number(setting(settings, 'hf_max_batch') ?? DEFAULT_BATCH);
  }

  async invoke(call: ProviderCall): Promise<JsonReply> {
    const inputs = textInputsOf(call.json);
    const { dimensions } = call.json;
    if (dimensions !== undefined && dimensions !== null && !this.isDedicated) throw unsupportedParameter('dimensions');
    const options = typeof dimensions === 'number' ? { ...this.options, dimensions } : this.options;
    const batches = Array.from({ length: Math.ceil(inputs.length / this.batchSize) }, (_, i) => inputs.slice(i * this.batchSize, (i + 1) * this.batchSize));
    const answers = await mapLimit(
      batches,
      CALLS_AT_ONCE,
      (batch) => this.embed(call, batch, options),
      ({ tokens }) => inputOnly(tokens),
    );
    const counts = answers.map(({ tokens }) => tokens);
    // One batch without a count makes the sum a guess: then the gateway estimates all of it and says so.
    const known = counts.every((tokens) => tokens !== undefined);
    const meters = known ? { inputTokens: counts.reduce((sum: number, tokens) => sum + tokens!, 0), outputTokens: 0 } : undefined;
    const vectors = answers.flatMap((answer) => answer.vectors);
    return { kind: 'json', body: embeddingsBody(call, vectors, meters), ...(meters && { meters }), outputBytes: 0 };
  }

  private async embed(call: ProviderCall, inputs: string[], options: Record<string, unknown>): Promise<BatchAnswer> {
    const response = await post(call, { url: this.url, headers: this.headers, body: JSON.stringify({ inputs, ...options }) });
    const told = Number(response.headers['x-compute-tokens'] ?? Number.NaN);
    const tokens = Number.isInteger(told) && told >= 0 ? told : undefined;
    const body = await response.bytes(call.responseBytesMax);
    return { vectors: readBilled(inputOnly(tokens), () => vectorsOf(body, inputs.length)), tokens };
  }
}

function vectorsOf(body: Buffer, count: number): number[][] {
  const parsed = tryParseJson(body);
  if (!Array.isArray(parsed)) throw malformed('the embeddings are not a list');
  // A model without pooling answers one vector per token: deeper lists, which are no embeddings of the texts.
  const vectors = parsed.map(asVector);
  if (vectors.length !== count) throw malformed('there is not one embedding per input');
  return vectors;
}

function malformed(internal: string): ProviderError {
  return new ProviderError('malformed', { internal });
}

/** `org/name` with each part encoded, so that a model's name cannot leave its place in the path. */
function modelPath(model: string): string {
  return model.split('/').map(encodeURIComponent).join('/');
}
