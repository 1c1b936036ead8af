import type { Meters } from '@omg/domain';
import { invalid } from '../kit/chat-messages.js';
import { unsupportedParameter } from '../kit/errors.js';
import { imageSizeOf, imagesBody } from '../kit/images.js';
import { mapLimit } from '../kit/map-limit.js';
import { refuseFields } from '../kit/requirements.js';
import { parseJsonObject, textOf } from '../kit/safe-json.js';
import type { JsonReply, ProviderCall, ProviderRoute } from '../spec/provider.js';
import { ProviderError } from '../spec/provider-error.js';
import { bytesOf, run, type WireContext } from './client.js';
import type { ClientSettings } from './settings.js';

/**
 * Image generation: Amazon's task bodies (Titan Image Generator, Nova Canvas) and Stability's two shapes. More images than
 * a model makes at once are made in several calls, each with a seed of its own.
 */
const PARALLEL_CALLS = 4;
const AMAZON_IMAGES_PER_CALL = 5;
const IMAGES_MAX = 10;
/** Amazon's seeds end here. */
const SEED_SPAN = 2_147_483_647;

interface ImageRequest {
  prompt: string;
  n: number;
  width: number;
  height: number;
  /** As the client wrote it; absent: the default size. */
  size?: string;
  quality: string;
  style?: string;
  seed?: number;
}

interface Family {
  imagesPerCall: number;
  body(request: ImageRequest, count: number, route: ProviderRoute): Record<string, unknown>;
  /** Base64 images; throws content_filter when all were withheld. */
  read(answer: Record<string, unknown>): string[];
}

export async function generate(call: ProviderCall, route: ProviderRoute, settings: ClientSettings, wire: WireContext): Promise<JsonReply> {
  const family = familyOf(route.providerModel);
  const request = readRequest(call, route);
  const counts: number[] = [];
  for (let left = request.n; left > 0; left -= family.imagesPerCall) counts.push(Math.min(left, family.imagesPerCall));
  const metersOf = (images: readonly string[]): Meters => ({
    inputTokens: 0,
    outputTokens: 0,
    images: images.length,
    imageSize: imageSizeOf(images[0]!) ?? `${request.width}x${request.height}`,
    imageQuality: request.quality,
  });
  const makeSome = async (count: number, index: number): Promise<string[]> => {
    const seed = request.seed === undefined ? undefined : (request.seed + index) % SEED_SPAN;
    const body = Buffer.from(JSON.stringify(family.body({ ...request, seed }, count, route)));
    const input = { modelId: route.providerModel, contentType: 'application/json', accept: 'application/json', body };
    const output = await run(settings, { ...wire }, (client, sdk) => client.send(new sdk.InvokeModelCommand(input)));
    return family.read(parseJsonObject(bytesOf(output.body), 'the answer'));
  };
  const images = (await mapLimit(counts, PARALLEL_CALLS, makeSome, metersOf)).flat();
  return { kind: 'json', body: imagesBody(images.map((b64_json) => ({ b64_json }))), meters: metersOf(images), outputBytes: 0 };
}

function familyOf(model: string): Family {
  if (model.includes('stable-diffusion-xl')) return STABLE_DIFFUSION_XL;
  if (model.includes('stability.')) return STABILITY;
  return AMAZON;
}

function readRequest(call: ProviderCall, route: ProviderRoute): ImageRequest {
  const { json } = call;
  refuseFields(json, ['user', 'output_compression', 'stream', 'partial_images', 'moderation']);
  if (typeof json.prompt !== 'string' || json.prompt.trim() === '') throw invalid('prompt');
  const n = json.n ?? 1;
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > IMAGES_MAX) throw invalid('n');
  if (json.background !== undefined && json.background !== null && json.background !== 'auto') throw unsupportedParameter('background');
  if (json.output_format !== undefined && json.output_format !== null && json.output_format !== 'png') throw unsupportedParameter('output_format');
  const size = sizeOf(json.size);
  const seed = route.settings.bedrock_image_seed;
  return {
    prompt: json.prompt.trim(),
    n,
    ...size,
    quality: qualityOf(json.quality, route),
    style: textOf(json.style) ?? textOf(route.settings.bedrock_image_style),
    seed: seed ? Number(seed) : undefined,
  };
}

function sizeOf(value: unknown): { width: number; height: number; size?: string } {
  if (value === undefined || value === null || value === 'auto') return { width: 1024, height: 1024 };
  const match = typeof value === 'string' ? /^(\d{2,5})x(\d{2,5})$/.exec(value) : null;
  if (match === null) throw invalid('size');
  return { width: Number(match[1]), height: Number(match[2]), size: match[0] };
}

/** OpenAI's words for quality under Amazon's two. */
const QUALITIES: Readonly<Record<string, string>> = {
  standard: 'standard',
  auto: 'standard',
  low: 'standard',
  medium: 'standard',
  hd: 'premium',
  high: 'premium',
  premium: 'premium',
};

function qualityOf(value: unknown, route: ProviderRoute): string {
  const asked = value ?? (route.settings.bedrock_image_quality || 'standard');
  const quality = typeof asked === 'string' ? QUALITIES[asked] : undefined;
  if (quality === undefined) throw unsupportedParameter('quality');
  // Stability's models have no such switch.
  if (quality !== 'standard' && route.providerModel.includes('stability.')) throw unsupportedParameter('quality');
  return quality;
}

const AMAZON: Family = {
  imagesPerCall: AMAZON_IMAGES_PER_CALL,
  body(request, count, route) {
    const { bedrock_image_cfg_scale: scale, bedrock_image_negative_prompt: negative, bedrock_image_task_type: task } = route.settings;
    const hasStyles = route.providerModel.includes('nova-canvas');
    if (request.style !== undefined && !hasStyles) throw unsupportedParameter('style');
    return {
      taskType: task || 'TEXT_IMAGE',
      textToImageParams: {
        text: request.prompt,
        ...(negative ? { negativeText: negative } : {}),
        ...(request.style === undefined ? {} : { style: request.style }),
      },
      imageGenerationConfig: {
        numberOfImages: count,
        quality: request.quality,
        cfgScale: Number(scale || 8),
        width: request.width,
        height: request.height,
        ...(request.seed === undefined ? {} : { seed: request.seed }),
      },
    };
  },
  read(answer) {
    const images = stringsOf(answer.images);
    if (images.length > 0) return images;
    throw new ProviderError('content_filter', { internal: textOf(answer.error) ?? textOf(answer.status) ?? 'no image came back' });
  },
};

const STABLE_DIFFUSION_XL: Family = {
  imagesPerCall: 1,
  body(request, _count, route) {
    const { bedrock_image_cfg_scale: scale, bedrock_image_negative_prompt: negative, bedrock_image_steps: steps } = route.settings;
    return {
      text_prompts: [{ text: request.prompt, weight: 1 }, ...(negative ? [{ text: negative, weight: -1 }] : [])],
      cfg_scale: Number(scale || 7.5),
      steps: Number(steps || 50),
      width: request.width,
      height: request.height,
      ...(request.style === undefined ? {} : { style_preset: request.style }),
      ...(request.seed === undefined ? {} : { seed: request.seed }),
    };
  },
  read(answer) {
    const artifacts = (Array.isArray(answer.artifacts) ? answer.artifacts : []) as { base64?: unknown; finishReason?: unknown }[];
    const images = stringsOf(artifacts.filter(({ finishReason }) => finishReason !== 'CONTENT_FILTERED').map(({ base64 }) => base64));
    if (images.length > 0) return images;
    throw new ProviderError(artifacts.length > 0 ? 'content_filter' : 'malformed', { internal: 'no image came back' });
  },
};

/** Stable Image and Stable Diffusion 3: a shape instead of a size. */
const STABILITY: Family = {
  imagesPerCall: 1,
  body(request, _count, route) {
    const negative = route.settings.bedrock_image_negative_prompt;
    if (request.style !== undefined) throw unsupportedParameter('style');
    return {
      prompt: request.prompt,
      mode: 'text-to-image',
      aspect_ratio: aspectRatioOf(request),
      output_format: 'png',
      ...(negative ? { negative_prompt: negative } : {}),
      ...(request.seed === undefined ? {} : { seed: request.seed }),
    };
  },
  read(answer) {
    const reasons = Array.isArray(answer.finish_reasons) ? answer.finish_reasons : [];
    const images = stringsOf(answer.images).filter((_, index) => typeof reasons[index] !== 'string');
    if (images.length > 0) return images;
    throw new ProviderError(reasons.some((reason) => typeof reason === 'string') ? 'content_filter' : 'malformed', { internal: 'no image came back' });
  },
};

const ASPECT_RATIOS: readonly (readonly [string, number])[] = [
  ['1:1', 1],
  ['16:9', 16 / 9],
  ['21:9', 21 / 9],
  ['2:3', 2 / 3],
  ['3:2', 3 / 2],
  ['4:5', 4 / 5],
  ['5:4', 5 / 4],
  ['9:16', 9 / 16],
  ['9:21', 9 / 21],
];

function aspectRatioOf(request: ImageRequest): string {
  const ratio = request.width / request.height;
  const found = ASPECT_RATIOS.find(([, value]) => Math.abs(value / ratio - 1) < 0.02);
  if (found === undefined) throw unsupportedParameter('size');
  return found[0];
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string' && item !== '') : [];
}
