import { invalid } from '../kit/chat-messages.js';
import { readBilled } from '../kit/consumed.js';
import { asVector, embeddingsBody, textInputsOf } from '../kit/embeddings.js';
import { unsupportedParameter } from '../kit/errors.js';
import { inputOnly, mapLimit } from '../kit/map-limit.js';
import { refuseFields } from '../kit/requirements.js';
import { isRecord, parseJsonObject } from '../kit/safe-json.js';
import type { JsonReply, ProviderCall, ProviderRoute } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { bytesOf, run, type WireContext } from './client.js';
import type { ClientSettings, EmbeddingFormat } from './settings.js';
import { inputTokensOf } from './usage.js';

/**
 * Text embeddings of Bedrock's models, each with a body of its own. Most take one text per call: a request's texts are spread
 * over several calls, of which so many run at a time.
 */
const PARALLEL_CALLS = 8;

interface Format {
  textsPerCall: number;
  /** `dimensions`: of the request, else of the catalog. */
  body(texts: readonly string[], dimensions: number | undefined, route: ProviderRoute): Record<string, unknown>;
  /** One vector per text. */
  vectors(answer: Record<string, unknown>): unknown[];
  /** Models of this format that have one size only. */
  fixedSize?: RegExp;
}

/** After the first failure no further call is begun, and it is the request's failure. */
export async function embed(call: ProviderCall, route: ProviderRoute, settings: ClientSettings, wire: WireContext): Promise<JsonReply> {
  const inputs = textInputsOf(call.json);
  if (inputs.length === 0 || inputs.some((text) => text === '')) throw invalid('input');
  refuseFields(call.json, ['user']);
  const format = FORMATS[formatOf(route)];
  const dimensions = dimensionsOf(call, route, format);
  const batches = Array.from({ length: Math.ceil(inputs.length / format.textsPerCall) }, (_, i) =>
    inputs.slice(i * format.textsPerCall, (i + 1) * format.textsPerCall),
  );
  const results = await mapLimit(
    batches,
    PARALLEL_CALLS,
    (texts) => embedSome(texts, format, format.body(texts, dimensions, route), route.providerModel, settings, { ...wire }),
    ({ tokens }) => inputOnly(tokens),
  );
  const tokens = results.reduce<number | undefined>((sum, { tokens: one }) => (sum === undefined || one === undefined ? undefined : sum + one), 0);
  const meters = inputOnly(tokens);
  const vectors = results.flatMap((result) => result.vectors);
  return { kind: 'json', body: embeddingsBody(call, vectors, meters), meters, outputBytes: 0 };
}

function formatOf({ settings, providerModel: model }: ProviderRoute): EmbeddingFormat {
  const named = settings.bedrock_embedding_format as EmbeddingFormat | undefined;
  if (named) return named;
  if (model.includes('titan-embed-image')) return 'titan_multimodal';
  if (model.includes('titan-embed')) return 'titan_text';
  if (model.includes('cohere.embed')) return 'cohere';
  if (/nova.*embed/.test(model)) return 'nova';
  throw new ProviderError('unsupported_parameter', { param: 'model', internal: 'no known embedding format: set bedrock_embedding_format' });
}

function dimensionsOf({ json }: ProviderCall, route: ProviderRoute, format: Format): number | undefined {
  const asked = json.dimensions;
  if (asked !== undefined && asked !== null && (typeof asked !== 'number' || !Number.isInteger(asked) || asked < 1)) throw invalid('dimensions');
  if (format.fixedSize?.test(route.providerModel)) {
    if (typeof asked === 'number') throw unsupportedParameter('dimensions');
    return undefined;
  }
  const { bedrock_embed_dims: dims } = route.settings;
  return typeof asked === 'number' ? asked : dims ? Number(dims) : undefined;
}

async function embedSome(
  texts: readonly string[],
  format: Format,
  body: Record<string, unknown>,
  modelId: string,
  settings: ClientSettings,
  wire: WireContext,
): Promise<{ vectors: number[][]; tokens: number | undefined }> {
  const input = { modelId, contentType: 'application/json', accept: 'application/json', body: Buffer.from(JSON.stringify(body)) };
  const output = await run(settings, wire, (client, sdk) => client.send(new sdk.InvokeModelCommand(input)));
  const answer = parseJsonObject(bytesOf(output.body), 'the answer');
  // Only Titan counts in its body; for all models Bedrock counts in a header.
  const tokens = typeof answer.inputTextTokenCount === 'number' ? answer.inputTextTokenCount : inputTokensOf(wire.headers);
  return readBilled(inputOnly(tokens), () => {
    const vectors = format.vectors(answer).map(asVector);
    if (vectors.length !== texts.length) throw new ProviderError('malformed', { internal: 'there is not one embedding per text' });
    return { vectors, tokens };
  });
}

const titanVector = (answer: Record<string, unknown>): unknown[] => [answer.embedding];

const FORMATS: Readonly<Record<EmbeddingFormat, Format>> = {
  titan_text: {
    textsPerCall: 1,
    fixedSize: /embed-text-v1|embed-g1-text/,
    body([inputText], dimensions, { settings, providerModel }) {
      // Version 1 has no switches at all.
      if (FORMATS.titan_text.fixedSize!.test(providerModel)) return { inputText };
      return { inputText, ...(dimensions === undefined ? {} : { dimensions }), normalize: settings.bedrock_embed_normalize === 'true' };
    },
    vectors: titanVector,
  },
  titan_multimodal: {
    textsPerCall: 1,
    body: ([inputText], dimensions) => ({ inputText, ...(dimensions === undefined ? {} : { embeddingConfig: { outputEmbeddingLength: dimensions } }) }),
    vectors: titanVector,
  },
  cohere: {
    textsPerCall: 96,
    // Version 3 has one size.
    fixedSize: /embed-(?:english|multilingual)/,
    body: (texts, dimensions, { settings }) => ({
      texts,
      input_type: settings.bedrock_embed_input_type || 'search_document',
      // Text beyond the model's window is an error, as it is with OpenAI, and not cut off unseen.
      truncate: 'NONE',
      embedding_types: ['float'],
      ...(dimensions === undefined ? {} : { output_dimension: dimensions }),
    }),
    // A list where no type was asked for, else a map of types.
    vectors({ embeddings }) {
      const list: unknown = isRecord(embeddings) ? embeddings.float : embeddings;
      return Array.isArray(list) ? list : [];
    },
  },
  nova: {
    textsPerCall: 1,
    body: ([value], dimensions, { settings }) => ({
      schemaVersion: 'nova-multimodal-embed-v1',
      taskType: 'SINGLE_EMBEDDING',
      singleEmbeddingParams: {
        embeddingPurpose: settings.bedrock_embed_purpose || 'GENERIC_INDEX',
        ...(dimensions === undefined ? {} : { embeddingDimension: dimensions }),
        text: { truncationMode: 'NONE', value },
      },
    }),
    vectors: ({ embeddings }) => (Array.isArray(embeddings) ? embeddings.map((one: unknown) => (isRecord(one) ? one.embedding : undefined)) : []),
  },
};
