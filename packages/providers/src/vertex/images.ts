import type { Meters } from '@omg/domain';
import { invalid } from '../kit/chat-messages.js';
import { unsupportedParameter } from '../kit/errors.js';
import { billed, readBilled } from '../kit/consumed.js';
import { imageSizeOf, imagesBody } from '../kit/images.js';
import { mapLimit } from '../kit/map-limit.js';
import { refuseFields } from '../kit/requirements.js';
import { isRecord, parseJsonObject, textOf } from '../kit/safe-json.js';
import type { JsonReply, ProviderCall, ProviderRoute } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import type { Post } from './embeddings.js';
import { candidatesOf, partsOf, refuseBlocked } from './response.js';
import { metersOf } from './usage.js';

/** Imagen makes up to four images per call, Gemini's image models one; more are made in several calls. */
const PARALLEL_CALLS = 4;
const IMAGEN_PER_CALL = 4;
const IMAGES_MAX = 10;

interface Made {
  images: string[];
  meters?: Meters;
}

export async function generate(call: ProviderCall, route: ProviderRoute, post: Post): Promise<JsonReply> {
  const { json } = call;
  refuseFields(json, ['user', 'style', 'stream', 'partial_images', 'moderation', 'output_compression']);
  if (typeof json.prompt !== 'string' || json.prompt.trim() === '') throw invalid('prompt');
  const n = json.n ?? 1;
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > IMAGES_MAX) throw invalid('n');
  if (json.background !== undefined && json.background !== null && json.background !== 'auto') throw unsupportedParameter('background');
  if (json.quality !== undefined && json.quality !== null && json.quality !== 'auto' && json.quality !== 'standard') throw unsupportedParameter('quality');
  const prompt = json.prompt.trim();
  const isImagen = route.providerModel.startsWith('imagen');
  const ratio = aspectRatioOf(json.size, isImagen);
  const perCall = isImagen ? IMAGEN_PER_CALL : 1;
  const counts: number[] = [];
  for (let left = n; left > 0; left -= perCall) counts.push(Math.min(left, perCall));
  const makeSome = (count: number): Promise<Made> =>
    isImagen ? imagen(prompt, count, ratio, formatOf(json.output_format), route, post) : gemini(prompt, ratio, json.output_format, post);
  return reply(await mapLimit(counts, PARALLEL_CALLS, makeSome, (one) => metersOfAll([one])));
}

function metersOfAll(made: readonly Made[]): Meters {
  const images = made.flatMap((one) => one.images);
  const meters: Meters = { inputTokens: 0, outputTokens: 0, images: images.length, imageQuality: 'standard' };
  for (const one of made) {
    meters.inputTokens += one.meters?.inputTokens ?? 0;
    meters.outputTokens += one.meters?.outputTokens ?? 0;
  }
  const size = images.length > 0 ? imageSizeOf(images[0]!) : undefined;
  if (size !== undefined) meters.imageSize = size;
  return meters;
}

function reply(made: readonly Made[]): JsonReply {
  const images = made.flatMap((one) => one.images);
  const meters = metersOfAll(made);
  const total = meters.inputTokens + meters.outputTokens;
  if (images.length === 0) throw billed(new ProviderError('content_filter', { internal: 'every image was withheld' }), total === 0 ? undefined : meters);
  const usage = total === 0 ? {} : { usage: { input_tokens: meters.inputTokens, output_tokens: meters.outputTokens, total_tokens: total } };
  return {
    kind: 'json',
    body: imagesBody(
      images.map((b64_json) => ({ b64_json })),
      usage,
    ),
    meters,
    outputBytes: 0,
  };
}

async function imagen(prompt: string, count: number, ratio: string | undefined, mimeType: string | undefined, route: ProviderRoute, post: Post): Promise<Made> {
  const person = route.settings.vertex_person_generation;
  const parameters = {
    sampleCount: count,
    ...(ratio === undefined ? {} : { aspectRatio: ratio }),
    ...(person ? { personGeneration: person } : {}),
    ...(mimeType === undefined ? {} : { outputOptions: { mimeType } }),
  };
  const answer = parseJsonObject(await post('predict', { instances: [{ prompt }], parameters }), 'the answer');
  const predictions: unknown[] = Array.isArray(answer.predictions) ? answer.predictions : [];
  // Withheld images are simply missing.
  return { images: predictions.flatMap((prediction) => (isRecord(prediction) ? (textOf(prediction.bytesBase64Encoded) ?? []) : [])) };
}

async function gemini(prompt: string, ratio: string | undefined, format: unknown, post: Post): Promise<Made> {
  if (format !== undefined && format !== null && format !== 'png') throw unsupportedParameter('output_format');
  const generationConfig = { responseModalities: ['TEXT', 'IMAGE'], ...(ratio === undefined ? {} : { imageConfig: { aspectRatio: ratio } }) };
  const answer = parseJsonObject(await post('generateContent', { contents: [{ role: 'user', parts: [{ text: prompt }] }], generationConfig }), 'the answer');
  const meters = metersOf(answer.usageMetadata);
  readBilled(meters, () => refuseBlocked(answer));
  const images = candidatesOf(answer)
    .flatMap(partsOf)
    .flatMap((part) => (isRecord(part.inlineData) && part.thought !== true ? (textOf(part.inlineData.data) ?? []) : []));
  return { images, meters };
}

function formatOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === 'png' || value === 'jpeg') return `image/${value}`;
  throw unsupportedParameter('output_format');
}

const IMAGEN_RATIOS = ['1:1', '3:4', '4:3', '9:16', '16:9'];
const GEMINI_RATIOS = ['1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9'];
/** How far a size may lie from a shape that the model knows: OpenAI's 1792x1024 is as good as 16:9. */
const RATIO_TOLERANCE = 0.02;

/** These models take a shape, not a size. */
function aspectRatioOf(size: unknown, isImagen: boolean): string | undefined {
  if (size === undefined || size === null || size === 'auto') return undefined;
  const match = typeof size === 'string' ? /^(\d{2,5})x(\d{2,5})$/.exec(size) : null;
  if (match === null) throw invalid('size');
  const asked = Number(match[1]) / Number(match[2]);
  const found = (isImagen ? IMAGEN_RATIOS : GEMINI_RATIOS).find((ratio) => {
    const [width, height] = ratio.split(':').map(Number);
    return Math.abs(width! / height! / asked - 1) <= RATIO_TOLERANCE;
  });
  if (found === undefined) throw unsupportedParameter('size');
  return found;
}
