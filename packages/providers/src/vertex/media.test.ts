import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonReply, ProviderAdapter } from '../spec/provider.js';
import { jsonAnswer, recording } from '../testing/battery.js';
import { makeCall, makeRoute } from '../testing/call.js';
import { Harness } from '../testing/harness.js';
import type { WireAnswer, WireRequest } from '../testing/wire-server.js';
import { vertex } from './adapter.js';

/** Embeddings and images: what the battery's one case of each does not show. */
const file = (name: string): Buffer => recording(`${import.meta.dirname}/__fixtures__`, name);
const KEY = { vertex_api_key: 'AIzaSyD-key' };

let wire: Harness;
beforeAll(async () => {
  wire = await Harness.start();
});
afterAll(() => wire.close());
beforeEach(() => wire.reset(jsonAnswer(file('plain.json'))));

const create = (settings: Record<string, string>, model = 'gemini-2.5-flash'): ProviderAdapter =>
  vertex.create(makeRoute(settings, { providerModel: model, maxOutputTokens: 0 }));
const invoke = async (body: Record<string, unknown>, model?: string, settings: Record<string, string> = {}): Promise<JsonReply> =>
  (await create({ gcp_project_id: 'p', ...KEY, ...settings }, model).invoke(makeCall(wire.transport, { model: 'my-alias', ...body }))) as JsonReply;
const parsed = (reply: JsonReply): any => JSON.parse(reply.body.toString());

describe('embeddings', () => {
  const vectors = (request: WireRequest): WireAnswer => {
    const { instances } = JSON.parse(request.body.toString()) as { instances: { content: string }[] };
    return jsonAnswer({
      predictions: instances.map(({ content }) => ({ embeddings: { values: [content.length, 0.5], statistics: { token_count: 1, truncated: false } } })),
    });
  };
  const input = Array.from({ length: 150 }, (_, i) => 'x'.repeat(i + 1));

  it('sends older models up to a hundred texts per call and keeps the order', async () => {
    wire.answer = vectors;
    const reply = await invoke({ input, dimensions: 256 }, 'text-embedding-005');
    expect(
      wire
        .bodies()
        .map((body) => body.instances.length)
        .sort((a, b) => a - b),
    ).toEqual([50, 100]);
    expect(wire.bodies()[0].parameters).toEqual({ autoTruncate: false, outputDimensionality: 256 });
    expect(parsed(reply).data.map((item: any) => item.embedding[0])).toEqual(input.map((text) => text.length));
    expect(reply.meters).toEqual({ inputTokens: 150, outputTokens: 0 });
  });

  it('sends gemini-embedding-001 one text per call, and its successors their own method', async () => {
    wire.answer = vectors;
    await invoke({ input: ['a', 'b'] }, 'gemini-embedding-001');
    expect(wire.bodies().map((body) => body.instances)).toEqual(expect.arrayContaining([[{ content: 'a' }], [{ content: 'b' }]]));
    wire.answer = () => jsonAnswer({ embedding: { values: [0.5] }, usageMetadata: { promptTokenCount: 4 } });
    const reply = await invoke({ input: 'a', dimensions: 8 }, 'gemini-embedding-2');
    expect(wire.server.last.url).toMatch(/gemini-embedding-2:embedContent$/);
    expect(wire.bodies().at(-1)).toEqual({ content: { parts: [{ text: 'a' }] }, embedContentConfig: { outputDimensionality: 8 } });
    expect(reply.meters).toEqual({ inputTokens: 4, outputTokens: 0 });
  });

  it('sends the Gemini API a hundred texts per call, and leaves the tokens to be counted', async () => {
    wire.answer = (request) => {
      const { requests } = JSON.parse(request.body.toString()) as { requests: { content: { parts: { text: string }[] } }[] };
      return jsonAnswer({ embeddings: requests.map(({ content }) => ({ values: [content.parts[0]!.text.length] })) });
    };
    const reply = await invoke({ input, dimensions: 8 }, 'gemini-embedding-001', { vertex_endpoint: 'https://generativelanguage.googleapis.com/v1beta' });
    expect(wire.sent.every(({ url }) => url === 'https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:batchEmbedContents')).toBe(true);
    expect(wire.bodies().find((body) => body.requests.length === 100).requests[0]).toEqual({
      model: 'models/gemini-embedding-001',
      content: { parts: [{ text: 'x' }] },
      outputDimensionality: 8,
    });
    expect(parsed(reply).data.map((item: any) => item.embedding[0])).toEqual(input.map((text) => text.length));
    expect(reply.meters).toBeUndefined();
  });

  it('refuses an answer with fewer vectors than texts', async () => {
    wire.answer = () => jsonAnswer({ predictions: [] });
    await expect(invoke({ input: 'a' }, 'text-embedding-005')).rejects.toMatchObject({ kind: 'malformed' });
  });
});

describe('images', () => {
  const draw = (body: Record<string, unknown>, model = 'imagen-4.0-generate-001', settings: Record<string, string> = {}): Promise<JsonReply> =>
    invoke({ prompt: 'a red dot', ...body }, model, settings);

  it('asks Imagen for a shape, four per call', async () => {
    wire.answer = () => jsonAnswer(file('imagen.json'));
    const reply = await draw({ n: 6, size: '1792x1024', output_format: 'jpeg' }, undefined, { vertex_person_generation: 'allow_adult' });
    expect(wire.bodies()).toEqual(
      expect.arrayContaining(
        [4, 2].map((sampleCount) => ({
          instances: [{ prompt: 'a red dot' }],
          parameters: { sampleCount, aspectRatio: '16:9', personGeneration: 'allow_adult', outputOptions: { mimeType: 'image/jpeg' } },
        })),
      ),
    );
    expect(parsed(reply).data).toHaveLength(4);
    expect(reply.meters).toMatchObject({ images: 4, imageSize: '1x1' });
  });

  it('asks Gemini for one per call, and adds up its tokens', async () => {
    wire.answer = () => jsonAnswer(file('image.json'));
    const reply = await draw({ n: 3, size: '1536x1024' }, 'gemini-2.5-flash-image');
    expect(wire.bodies()).toHaveLength(3);
    expect(wire.bodies()[0].generationConfig).toEqual({ responseModalities: ['TEXT', 'IMAGE'], imageConfig: { aspectRatio: '3:2' } });
    expect(reply.meters).toMatchObject({ inputTokens: 30, outputTokens: 4176, images: 3 });
  });

  it('tells withheld images', async () => {
    wire.answer = () => jsonAnswer({ predictions: [{ raiFilteredReason: 'x' }] });
    await expect(draw({})).rejects.toMatchObject({ kind: 'content_filter' });
  });

  it.each([
    [{ size: '1536x1024' }, 'size'],
    [{ style: 'vivid' }, 'style'],
    [{ quality: 'hd' }, 'quality'],
    [{ background: 'transparent' }, 'background'],
    [{ output_format: 'webp' }, 'output_format'],
    [{ response_format: 'url' }, 'response_format'],
  ])('refuses %j by name', async (body, param) => {
    await expect(draw(body)).rejects.toMatchObject({ kind: 'unsupported_parameter', param });
    expect(wire.server.requests).toEqual([]);
  });
});
