import { afterAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startOtlpReceiver, waitFor, within } from '@omg/testkit';
import { genAiAttributes, genAiSpanName } from './gen-ai.js';
import { formatTraceparent, parseTraceparent } from './traceparent.js';
import { createTracing, endpointUrl, TRACING_OFF } from './tracing.js';

afterAll(cleanUp);

const options = { service: 'edge-gateway', version: '1', enabled: true, endpoint: 'http://127.0.0.1:1', sampleRatio: 1 };
const TRACE = 'a'.repeat(32);
const SPAN = 'b'.repeat(16);

describe('traceparent', () => {
  it('is read as the specification asks, and everything else is ignored', () => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true });
    expect(parseTraceparent(`cc-${TRACE}-${SPAN}-00-later`)).toMatchObject({ isSampled: false });
    for (const bad of [
      undefined,
      '',
      'x',
      `ff-${TRACE}-${SPAN}-01`,
      `00-${'0'.repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
      `00-${TRACE}-${SPAN}`,
    ])
      expect(parseTraceparent(bad)).toBeUndefined();
    expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, isSampled: true })).toBe(`00-${TRACE}-${SPAN}-01`);
  });
});

describe('sampling', () => {
  it('is decided before a span is made: by the parent, else by the ratio', async () => {
    let random = 0.5;
    const tracing = await createTracing({ ...options, sampleRatio: 0.4, random: () => random });
    expect(tracing.start('a', { kind: 'server' })).toBeUndefined();
    expect(tracing.start('a', { kind: 'server', parent: `00-${TRACE}-${SPAN}-01` })?.traceId).toBe(TRACE);
    random = 0.1;
    expect(tracing.start('a', { kind: 'server' })).toBeDefined();
    expect(tracing.start('a', { kind: 'server', parent: `00-${TRACE}-${SPAN}-00` })).toBeUndefined();
    expect(tracing.start('a', { kind: 'consumer', parent: undefined, onlyWithParent: true })).toBeUndefined();
    await tracing.close();
  });

  it('off makes nothing', async () => {
    expect(await createTracing({ ...options, enabled: false })).toBe(TRACING_OFF);
    expect(TRACING_OFF.start('a', { kind: 'server' })).toBeUndefined();
  });
});

describe('export', () => {
  it('a collector sees one trace across processes, with GenAI attributes and without contents', async () => {
    const receiver = await startOtlpReceiver();
    const edge = await createTracing({ ...options, endpoint: receiver.endpoint });
    const recorder = await createTracing({ ...options, service: 'usage-recorder', endpoint: receiver.endpoint, sampleRatio: 0 });
    const root = edge.start('POST /v1/chat/completions', { kind: 'server' })!;
    const call = edge.start(genAiSpanName('chat', 'gpt'), {
      kind: 'client',
      parent: root,
      attributes: genAiAttributes({ operation: 'chat', requestModel: 'gpt', provider: 'openai', inputTokens: 3, outputTokens: 4 }),
    })!;
    call.fail('timeout');
    call.end();
    const commit = recorder.start('usage commit', { kind: 'consumer', parent: root.traceparent, onlyWithParent: true, startTimeMs: Date.now() - 50 })!;
    commit.end();
    root.end();
    await Promise.all([edge.close(), recorder.close()]);
    await waitFor(() => receiver.spans.length === 3);
    expect(new Set(receiver.spans.map((span) => span.traceId))).toEqual(new Set([root.traceId]));
    const [server, client, consumer] = [2, 3, 5].map((kind) => receiver.spans.find((span) => span.kind === kind)!);
    expect([client!.parentSpanId, consumer!.parentSpanId]).toEqual([server!.spanId, server!.spanId]);
    expect([server!.service, consumer!.service]).toEqual(['edge-gateway', 'usage-recorder']);
    expect(client).toMatchObject({
      name: 'chat gpt',
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': 'gpt',
        'gen_ai.provider.name': 'openai',
        'gen_ai.usage.input_tokens': 3,
        'gen_ai.usage.output_tokens': 4,
        'error.type': 'timeout',
      },
    });
    expect(consumer!.durationMs).toBeGreaterThanOrEqual(50);
  });

  it('a missing collector is silent, and closing does not wait for it', async () => {
    const written: unknown[] = [];
    const streams = [process.stdout, process.stderr] as const;
    const originals = streams.map((stream) => stream.write.bind(stream));
    for (const stream of streams) stream.write = ((chunk: unknown) => (written.push(chunk), true)) as typeof stream.write;
    try {
      const tracing = await createTracing(options);
      for (let index = 0; index < 5000; index++) tracing.start('a', { kind: 'internal' })!.end();
      await within(3000, tracing.close());
    } finally {
      streams.forEach((stream, index) => (stream.write = originals[index] as typeof stream.write));
    }
    expect(written).toEqual([]);
  });

  it('takes an endpoint with and without a scheme', () => {
    expect(endpointUrl('collector:4317')).toBe('http://collector:4317');
    expect(endpointUrl('https://collector:4317')).toBe('https://collector:4317');
  });
});
