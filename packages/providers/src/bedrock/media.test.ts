import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonReply } from '../spec/provider.js';
import { jsonAnswer, TINY_PNG } from '../testing/battery.js';
import { makeCall, makeRoute } from '../testing/call.js';
import { Harness } from '../testing/harness.js';
import type { WireAnswer, WireRequest } from '../testing/wire-server.js';
import { bedrock } from './adapter.js';

/** Embeddings and images: what the battery's one case of each does not show. */
let wire: Harness;
beforeAll(async () => {
  wire = await Harness.start();
});
afterAll(() => wire.close());
beforeEach(() => wire.reset(jsonAnswer({})));

function invoke(model: string, settings: Record<string, string>, body: Record<string, unknown>): Promise<JsonReply> {
  const keys = { aws_access_key_id: 'AKID', aws_secret_access_key: 's', region: 'eu-central-1', endpoint: wire.server.url };
  const route = makeRoute({ ...keys, ...settings }, { providerModel: model });
  return bedrock.create(route).invoke(makeCall(wire.sockets, { model: 'my-alias', ...body })) as Promise<JsonReply>;
}
const parsed = (reply: JsonReply): any => JSON.parse(reply.body.toString());

const counted = (body: object, tokens: number): WireAnswer =>
  jsonAnswer(body, { headers: { 'content-type': 'application/json', 'x-amzn-bedrock-input-token-count': String(tokens) } });

describe('Cohere embeddings', () => {
  const V3 = 'cohere.embed-multilingual-v3';
  const V4 = 'us.cohere.embed-v4:0';
  const sizes = (request: WireRequest): number[] => (JSON.parse(request.body.toString()) as { texts: string[] }).texts.map((text) => text.length);

  it('take up to 96 texts per call, keep their order and count by the header', async () => {
    // As documented for embedding_types: a map of types instead of a list.
    wire.answer = (request) =>
      counted({ id: '1', response_type: 'embeddings_by_type', embeddings: { float: sizes(request).map((size) => [size, 0.5]) } }, sizes(request).length);
    const input = Array.from({ length: 100 }, (_, i) => 'x'.repeat(i + 1));
    const reply = await invoke(V3, {}, { input });
    expect(parsed(reply).data.map((item: any) => item.embedding[0])).toEqual(input.map((text) => text.length));
    expect(wire.bodies().map((body) => body.texts.length)).toEqual([96, 4]);
    expect(wire.bodies()[1]).toMatchObject({ input_type: 'search_document', truncate: 'NONE', embedding_types: ['float'] });
    expect(reply.meters).toEqual({ inputTokens: 100, outputTokens: 0 });
  });

  it('say what the vectors are for, and their size where the model has several', async () => {
    wire.answer = () => counted({ response_type: 'embeddings_floats', embeddings: [[0.1, 0.2]], texts: ['a'] }, 2);
    await invoke(V4, { bedrock_embed_input_type: 'search_query' }, { input: 'a', dimensions: 512 });
    expect(wire.bodies()[0]).toEqual({ texts: ['a'], input_type: 'search_query', truncate: 'NONE', embedding_types: ['float'], output_dimension: 512 });
    await expect(invoke(V3, {}, { input: 'a', dimensions: 512 })).rejects.toMatchObject({ kind: 'unsupported_parameter', param: 'dimensions' });
    wire.answer = () => counted({ embeddings: { float: [] } }, 2);
    await expect(invoke(V4, {}, { input: 'a' })).rejects.toMatchObject({ kind: 'malformed', consumed: { meters: { inputTokens: 2 } } });
  });
});

describe('Nova and multimodal Titan embeddings of text', () => {
  it('send Nova one text per call in its own schema', async () => {
    wire.answer = () => counted({ embeddings: [{ embeddingType: 'TEXT', embedding: [0.25, 0.5] }] }, 3);
    const reply = await invoke(
      'amazon.nova-2-multimodal-embeddings-v1:0',
      { bedrock_embed_purpose: 'TEXT_RETRIEVAL' },
      { input: ['a', 'b'], dimensions: 1024 },
    );
    expect(wire.bodies()).toHaveLength(2);
    expect(wire.bodies()).toContainEqual({
      schemaVersion: 'nova-multimodal-embed-v1',
      taskType: 'SINGLE_EMBEDDING',
      singleEmbeddingParams: { embeddingPurpose: 'TEXT_RETRIEVAL', embeddingDimension: 1024, text: { truncationMode: 'NONE', value: 'b' } },
    });
    expect(parsed(reply).data.map((item: any) => item.embedding)).toEqual([
      [0.25, 0.5],
      [0.25, 0.5],
    ]);
    expect(reply.meters).toEqual({ inputTokens: 6, outputTokens: 0 });
  });

  it('give the multimodal Titan its size in its own place', async () => {
    wire.answer = () => jsonAnswer({ embedding: [0.25], inputTextTokenCount: 4, message: null });
    const reply = await invoke('amazon.titan-embed-image-v1', {}, { input: 'a', dimensions: 256 });
    expect(wire.bodies()).toEqual([{ inputText: 'a', embeddingConfig: { outputEmbeddingLength: 256 } }]);
    expect(reply.meters).toEqual({ inputTokens: 4, outputTokens: 0 });
  });
});

describe('Titan embeddings', () => {
  const V2 = 'amazon.titan-embed-text-v2:0';
  const embed = (settings: Record<string, string>, body: Record<string, unknown>, model = V2): Promise<JsonReply> => invoke(model, settings, body);
  const byLength = (request: WireRequest): WireAnswer => {
    const { inputText } = JSON.parse(request.body.toString()) as { inputText: string };
    return jsonAnswer({ embedding: [inputText.length, 0.5], inputTextTokenCount: inputText.length });
  };

  it('keeps the order of many inputs and adds up their tokens', async () => {
    wire.answer = byLength;
    const input = Array.from({ length: 30 }, (_, i) => 'x'.repeat(((i * 7) % 30) + 1));
    const reply = await embed({}, { input });
    expect(parsed(reply).data.map((item: any) => [item.index, item.embedding[0]])).toEqual(input.map((text, i) => [i, text.length]));
    expect(reply.meters).toEqual({ inputTokens: 465, outputTokens: 0 });
    expect(wire.server.requests).toHaveLength(30);
  });

  it('never has more than eight calls open', async () => {
    let open = 0;
    let most = 0;
    const counting = {
      async send(request: Parameters<Harness['sockets']['send']>[0]) {
        most = Math.max(most, ++open);
        try {
          return await wire.sockets.send(request);
        } finally {
          open -= 1;
        }
      },
    };
    wire.answer = byLength;
    const route = makeRoute({ aws_access_key_id: 'A', aws_secret_access_key: 's', region: 'eu-central-1', endpoint: wire.server.url }, { providerModel: V2 });
    await bedrock.create(route).invoke(makeCall(counting, { model: 'm', input: Array.from({ length: 40 }, () => 'x') }));
    expect(most).toBe(8);
  });

  it('fails as a whole with the first failure, and begins no further call', async () => {
    wire.answer = (request) =>
      request.body.includes('bad') ? jsonAnswer({ __type: 'ThrottlingException', message: 'Rate exceeded' }, { status: 429 }) : byLength(request);
    await expect(embed({}, { input: ['bad', ...Array.from({ length: 50 }, () => 'x')] })).rejects.toMatchObject({ kind: 'rate_limited' });
    expect(wire.server.requests.length).toBeLessThan(30);
  });

  it('takes dimensions from the request, then from the catalog, and normalising from the catalog', async () => {
    wire.answer = byLength;
    const settings = { bedrock_embed_dims: '512', bedrock_embed_normalize: 'true' };
    await embed(settings, { input: 'a', dimensions: 256 });
    await embed(settings, { input: 'a' });
    await embed({}, { input: 'a' });
    expect(wire.bodies()).toEqual([
      { inputText: 'a', dimensions: 256, normalize: true },
      { inputText: 'a', dimensions: 512, normalize: true },
      { inputText: 'a', normalize: false },
    ]);
  });

  it('sends version 1 the text alone, and refuses dimensions for it', async () => {
    wire.answer = byLength;
    await embed({ bedrock_embed_dims: '512' }, { input: 'a' }, 'amazon.titan-embed-text-v1');
    expect(wire.bodies()).toEqual([{ inputText: 'a' }]);
    await expect(embed({}, { input: 'a', dimensions: 256 }, 'amazon.titan-embed-text-v1')).rejects.toMatchObject({
      kind: 'unsupported_parameter',
      param: 'dimensions',
    });
  });

  it('takes the count of the headers where the body has none', async () => {
    wire.answer = () => jsonAnswer({ embedding: [1] }, { headers: { 'content-type': 'application/json', 'x-amzn-bedrock-input-token-count': '9' } });
    expect((await embed({}, { input: 'a' })).meters).toEqual({ inputTokens: 9, outputTokens: 0 });
  });

  it('refuses an unknown model, an empty text and a vector that is none', async () => {
    await expect(embed({}, { input: 'a' }, 'vendor.other-embed-v1')).rejects.toMatchObject({ kind: 'unsupported_parameter', param: 'model' });
    await expect(embed({}, { input: ['a', ''] })).rejects.toMatchObject({ kind: 'invalid_request', param: 'input' });
    wire.answer = () => jsonAnswer({ embedding: [[1]] });
    await expect(embed({}, { input: 'a' })).rejects.toMatchObject({ kind: 'malformed' });
  });
});

describe('images', () => {
  const NOVA = 'amazon.nova-canvas-v1:0';
  const draw = (model: string, body: Record<string, unknown>, settings: Record<string, string> = {}): Promise<JsonReply> =>
    invoke(model, settings, { prompt: ' a red dot ', ...body });
  const amazon = (request: WireRequest): WireAnswer => {
    const { imageGenerationConfig } = JSON.parse(request.body.toString()) as { imageGenerationConfig: { numberOfImages: number } };
    return jsonAnswer({ images: Array.from({ length: imageGenerationConfig.numberOfImages }, () => TINY_PNG) });
  };

  it('says everything that the catalog and the request name', async () => {
    wire.answer = amazon;
    const settings = {
      bedrock_image_cfg_scale: '6.5',
      bedrock_image_negative_prompt: 'blue',
      bedrock_image_seed: '42',
      bedrock_image_style: 'PHOTOREALISM',
      bedrock_image_quality: 'premium',
    };
    await draw(NOVA, { size: '768x1280', style: 'GRAPHIC_NOVEL_ILLUSTRATION' }, settings);
    expect(wire.bodies()[0]).toEqual({
      taskType: 'TEXT_IMAGE',
      textToImageParams: { text: 'a red dot', negativeText: 'blue', style: 'GRAPHIC_NOVEL_ILLUSTRATION' },
      imageGenerationConfig: { numberOfImages: 1, quality: 'premium', cfgScale: 6.5, width: 768, height: 1280, seed: 42 },
    });
    await draw(NOVA, { quality: 'standard' }, settings);
    expect(wire.bodies()[1]).toMatchObject({
      textToImageParams: { style: 'PHOTOREALISM' },
      imageGenerationConfig: { quality: 'standard', width: 1024, height: 1024 },
    });
  });

  it('makes more than five in several calls, each with a seed of its own', async () => {
    wire.answer = amazon;
    const reply = await draw('amazon.titan-image-generator-v2:0', { n: 7, quality: 'hd' }, { bedrock_image_seed: '10' });
    expect(
      wire
        .bodies()
        .map((body) => [body.imageGenerationConfig.numberOfImages, body.imageGenerationConfig.seed])
        .sort(),
    ).toEqual([
      [2, 11],
      [5, 10],
    ]);
    expect(parsed(reply).data).toHaveLength(7);
    expect(reply.meters).toEqual({ inputTokens: 0, outputTokens: 0, images: 7, imageSize: '1x1', imageQuality: 'premium' });
  });

  it.each([
    [{ style: 'vivid' }, 'unsupported_parameter', 'style'],
    [{ background: 'transparent' }, 'unsupported_parameter', 'background'],
    [{ output_format: 'webp' }, 'unsupported_parameter', 'output_format'],
    [{ response_format: 'url' }, 'unsupported_parameter', 'response_format'],
    [{ quality: 'ultra' }, 'unsupported_parameter', 'quality'],
    [{ user: 'u' }, 'unsupported_parameter', 'user'],
    [{ n: 11 }, 'invalid_request', 'n'],
    [{ size: 'big' }, 'invalid_request', 'size'],
    [{ prompt: ' ' }, 'invalid_request', 'prompt'],
  ])('refuses %j by name before any call', async (body, kind, param) => {
    await expect(draw('amazon.titan-image-generator-v2:0', body)).rejects.toMatchObject({ kind, param });
    expect(wire.server.requests).toEqual([]);
  });

  it('refuses a quality that Stability has no switch for', async () => {
    await expect(draw('stability.sd3-5-large-v1:0', { quality: 'hd' })).rejects.toMatchObject({ kind: 'unsupported_parameter', param: 'quality' });
  });

  it('tells withheld images, and bills those that came', async () => {
    wire.answer = () => jsonAnswer({ images: [], error: 'This request has been blocked by our content filters.' });
    await expect(draw(NOVA, {})).rejects.toMatchObject({ kind: 'content_filter' });
    wire.answer = () => jsonAnswer({ images: [TINY_PNG], error: 'Some of the generated images have been blocked' });
    expect((await draw(NOVA, { n: 3 })).meters).toMatchObject({ images: 1 });
  });

  it('speaks to Stable Diffusion XL in its own words, one image per call', async () => {
    wire.answer = () => jsonAnswer({ result: 'success', artifacts: [{ seed: 1, base64: TINY_PNG, finishReason: 'SUCCESS' }] });
    const reply = await draw(
      'stability.stable-diffusion-xl-v1',
      { n: 2, size: '1024x1024', style: 'anime' },
      { bedrock_image_negative_prompt: 'blue', bedrock_image_steps: '30', bedrock_image_seed: '5' },
    );
    expect(wire.bodies()).toContainEqual({
      text_prompts: [
        { text: 'a red dot', weight: 1 },
        { text: 'blue', weight: -1 },
      ],
      cfg_scale: 7.5,
      steps: 30,
      width: 1024,
      height: 1024,
      style_preset: 'anime',
      seed: 6,
    });
    expect(reply.meters).toMatchObject({ images: 2 });
    wire.answer = () => jsonAnswer({ result: 'success', artifacts: [{ base64: TINY_PNG, finishReason: 'CONTENT_FILTERED' }] });
    await expect(draw('stability.stable-diffusion-xl-v1', {})).rejects.toMatchObject({ kind: 'content_filter' });
  });

  it('gives newer Stability models a shape, and refuses a size that has none', async () => {
    wire.answer = () => jsonAnswer({ seeds: [1], finish_reasons: [null], images: [TINY_PNG] });
    await draw('stability.sd3-5-large-v1:0', { size: '1536x1024' });
    expect(wire.bodies()[0]).toEqual({ prompt: 'a red dot', mode: 'text-to-image', aspect_ratio: '3:2', output_format: 'png' });
    await expect(draw('stability.sd3-5-large-v1:0', { size: '1000x700' })).rejects.toMatchObject({ kind: 'unsupported_parameter', param: 'size' });
    wire.answer = () => jsonAnswer({ seeds: [1], finish_reasons: ['Filter reason: prompt'], images: [''] });
    await expect(draw('stability.sd3-5-large-v1:0', {})).rejects.toMatchObject({ kind: 'content_filter' });
  });
});
