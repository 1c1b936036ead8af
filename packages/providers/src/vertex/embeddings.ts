import { invalid } from '../kit/chat-messages.js';
import { asVector, embeddingsBody, textInputsOf } from '../kit/embeddings.js';
import { inputOnly, mapLimit } from '../kit/map-limit.js';
import { refuseFields } from '../kit/requirements.js';
import { isRecord, parseJsonObject } from '../kit/safe-json.js';
import type { JsonReply, ProviderCall } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';

type Json = Record<string, unknown>;
/** Posts a body to the model under a method such as `predict`. */
export type Post = (method: string, body: Json) => Promise<Buffer>;

const PARALLEL_CALLS = 8;
/** Vertex takes up to 250 texts and 20 000 tokens at once; characters stand for tokens with room to spare. */
const TEXTS_PER_CALL = 100;
const CHARS_PER_CALL = 30_000;

interface Embedded {
  vectors: number[][];
  tokens: number | undefined;
}

/** Older models take several texts at once; gemini-embedding-001 takes one, and its successors have a method of their own. */
export async function embed(call: ProviderCall, model: string, isGeminiApi: boolean, post: Post): Promise<JsonReply> {
  const inputs = textInputsOf(call.json);
  if (inputs.length === 0 || inputs.some((text) => text === '')) throw invalid('input');
  refuseFields(call.json, ['user']);
  const { dimensions } = call.json;
  if (dimensions !== undefined && dimensions !== null && (typeof dimensions !== 'number' || !Number.isInteger(dimensions) || dimensions < 1))
    throw invalid('dimensions');
  const outputDimensionality = typeof dimensions === 'number' ? dimensions : undefined;
  const hasOwnMethod = /gemini-embedding-(?!001)/.test(model);
  const oneByOne = model.includes('gemini-embedding') && !isGeminiApi;
  const embedSome = (texts: string[]): Promise<Embedded> => {
    if (isGeminiApi) return batchEmbedContents(texts, model, outputDimensionality, post);
    return hasOwnMethod ? embedContent(texts[0]!, outputDimensionality, post) : predict(texts, outputDimensionality, post);
  };
  const batches = oneByOne ? inputs.map((text) => [text]) : batchesOf(inputs);
  const results = await mapLimit(batches, PARALLEL_CALLS, embedSome, ({ tokens }) => inputOnly(tokens));
  const vectors = results.flatMap((result) => result.vectors);
  const tokens = results.reduce<number | undefined>((sum, result) => (sum === undefined || result.tokens === undefined ? undefined : sum + result.tokens), 0);
  const meters = inputOnly(tokens);
  return { kind: 'json', body: embeddingsBody(call, vectors, meters), meters, outputBytes: 0 };
}

function batchesOf(inputs: readonly string[]): string[][] {
  const batches: string[][] = [];
  let chars = 0;
  for (const text of inputs) {
    const batch = batches.at(-1);
    if (batch === undefined || batch.length === TEXTS_PER_CALL || chars + text.length > CHARS_PER_CALL) {
      batches.push([text]);
      chars = text.length;
    } else {
      batch.push(text);
      chars += text.length;
    }
  }
  return batches;
}

async function predict(texts: readonly string[], outputDimensionality: number | undefined, post: Post): Promise<Embedded> {
  // Text beyond the model's window is an error, as it is with OpenAI, and not cut off unseen.
  const parameters = { autoTruncate: false, ...(outputDimensionality === undefined ? {} : { outputDimensionality }) };
  const answer = parseJsonObject(await post('predict', { instances: texts.map((content) => ({ content })), parameters }), 'the answer');
  const predictions: unknown[] = Array.isArray(answer.predictions) ? answer.predictions : [];
  if (predictions.length !== texts.length) throw new ProviderError('malformed', { internal: 'as many vectors as texts were expected' });
  let tokens: number | undefined = 0;
  const vectors = predictions.map((prediction) => {
    const embeddings = isRecord(prediction) && isRecord(prediction.embeddings) ? prediction.embeddings : {};
    const count = isRecord(embeddings.statistics) ? embeddings.statistics.token_count : undefined;
    tokens = tokens === undefined || typeof count !== 'number' ? undefined : tokens + count;
    return asVector(embeddings.values);
  });
  return { vectors, tokens };
}

async function embedContent(text: string, outputDimensionality: number | undefined, post: Post): Promise<Embedded> {
  const config = outputDimensionality === undefined ? {} : { embedContentConfig: { outputDimensionality } };
  const answer = parseJsonObject(await post('embedContent', { content: { parts: [{ text }] }, ...config }), 'the answer');
  const values = isRecord(answer.embedding) ? answer.embedding.values : undefined;
  const count = isRecord(answer.usageMetadata) ? answer.usageMetadata.promptTokenCount : undefined;
  return { vectors: [asVector(values)], tokens: typeof count === 'number' ? count : undefined };
}

/** The Gemini API's method takes up to a hundred texts and tells no tokens. */
async function batchEmbedContents(texts: readonly string[], model: string, outputDimensionality: number | undefined, post: Post): Promise<Embedded> {
  const size = outputDimensionality === undefined ? {} : { outputDimensionality };
  const requests = texts.map((text) => ({ model: `models/${model}`, content: { parts: [{ text }] }, ...size }));
  const answer = parseJsonObject(await post('batchEmbedContents', { requests }), 'the answer');
  const embeddings: unknown[] = Array.isArray(answer.embeddings) ? answer.embeddings : [];
  if (embeddings.length !== texts.length) throw new ProviderError('malformed', { internal: 'as many vectors as texts were expected' });
  return { vectors: embeddings.map((embedding) => asVector(isRecord(embedding) ? embedding.values : undefined)), tokens: undefined };
}
