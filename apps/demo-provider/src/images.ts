import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { CallLog } from './call-log.js';
import type { DemoConfig } from './config.js';
import { baseModel, errorOf, faultOf } from './faults.js';
import { pause, timeToFirstTokenMs } from './pacing.js';
import { drawPng } from './png.js';
import { sendJson } from './send.js';
import { countTokens } from './tokens.js';
import { WireError, type ImagesRequest } from './wire.js';

const SIDE_DEFAULT = 256;
const SIDE_MAX = 1024;
const IMAGES_MAX = 10;
const IMAGES_KEPT_MAX = 100;
const TOKENS_PER_OUTPUT_IMAGE = 272;

/** Images that were answered as an address, kept for a while. */
export class ImageShelf {
  private readonly images = new Map<string, Buffer>();

  put(image: Buffer): string {
    const name = `${randomUUID()}.png`;
    this.images.set(name, image);
    const oldest = this.images.keys().next().value;
    if (this.images.size > IMAGES_KEPT_MAX && oldest !== undefined) this.images.delete(oldest);
    return name;
  }

  get(name: string): Buffer | undefined {
    return this.images.get(name);
  }
}

function sizeOf(text: string | undefined): [number, number] {
  if (text === undefined || text === 'auto') return [SIDE_DEFAULT, SIDE_DEFAULT];
  const match = /^(\d{1,4})x(\d{1,4})$/.exec(text);
  const [width, height] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX) {
    throw new WireError(400, `Invalid size: up to ${SIDE_MAX}x${SIDE_MAX} is supported.`, { param: 'size' });
  }
  return [width, height];
}

/** POST /v1/images/generations */
export async function imageGenerations(
  response: ServerResponse,
  request: ImagesRequest,
  faultHeader: string | undefined,
  services: { log: CallLog; shelf: ImageShelf; config: DemoConfig; origin: string },
): Promise<void> {
  const { log, shelf, config } = services;
  if (typeof request.model !== 'string' || !baseModel(request.model).startsWith('demo-image')) {
    throw new WireError(404, `The model \`${request.model}\` does not exist.`, { code: 'model_not_found' });
  }
  if (typeof request.prompt !== 'string' || request.prompt === '') throw new WireError(400, 'prompt is required', { param: 'prompt' });
  const count = request.n ?? 1;
  if (!Number.isInteger(count) || count < 1 || count > IMAGES_MAX) throw new WireError(400, `'n' must be between 1 and ${IMAGES_MAX}.`, { param: 'n' });
  const [width, height] = sizeOf(request.size);
  const [inputTokens, outputTokens] = [countTokens(request.prompt), TOKENS_PER_OUTPUT_IMAGE * count];
  const id = `img-${randomUUID()}`;
  const call = log.add({
    id,
    at: new Date().toISOString(),
    path: '/v1/images/generations',
    model: request.model,
    stream: false,
    status: 0,
    prompt_tokens: inputTokens,
    completion_tokens: 0,
  });
  const fault = faultOf(request.model, faultHeader);
  if (fault.kind === 'error') {
    call.status = fault.status;
    throw errorOf(fault.status);
  }
  if (!(await pause(response, timeToFirstTokenMs(config, fault)))) {
    call.status = 499;
    return;
  }
  const data = Array.from({ length: count }, (_, index) => {
    const image = drawPng(`${request.prompt}#${index}`, width, height);
    return request.response_format === 'url' ? { url: `${services.origin}/images/${shelf.put(image)}` } : { b64_json: image.toString('base64') };
  });
  call.status = 200;
  call.completion_tokens = outputTokens;
  const usage = {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    input_tokens_details: { text_tokens: inputTokens, image_tokens: 0 },
  };
  sendJson(response, 200, { created: Math.floor(Date.now() / 1000), data, usage }, { 'x-request-id': id });
}
