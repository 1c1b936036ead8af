import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, startStack, TEST_KEY, type TestStack } from '@omg/testkit';
import OpenAI from 'openai';
import { startRealModel } from './support/real-model.js';
import { Ledger } from './support/usage.js';

/** Prices of the catalog entry, nano-USD per token. */
const INPUT_NANO = 100n;
const OUTPUT_NANO = 300n;

let stack: TestStack;
let ledger: Ledger;
let client: OpenAI;

beforeAll(async () => {
  const { baseUrl } = await startRealModel();
  stack = await startStack({
    upstreamUrl: baseUrl,
    config: {
      model_catalog: [
        {
          alias: 'smollm2',
          provider: 'llama-cpp',
          provider_model: 'smollm2',
          modalities: ['text'],
          context_window: 2048,
          max_output_tokens: 512,
          price_input: 0.0001,
          price_output: 0.0003,
          metadata: { base_url: baseUrl },
        },
      ],
    },
  });
  ledger = Ledger.open(stack.databaseUrl);
  client = new OpenAI({ baseURL: `${stack.edge.url}/v1`, apiKey: TEST_KEY, maxRetries: 0 });
}, 45 * 60_000);

afterAll(async () => {
  await ledger?.close();
  await cleanUp();
});

const messages = [{ role: 'user' as const, content: 'What is the capital of France? Answer in one sentence.' }];

describe('a real small language model behind the gateway', () => {
  it('answers a whole request, recorded and priced by its own token counts', async () => {
    const { data, request_id } = await client.chat.completions.create({ model: 'smollm2', messages, max_tokens: 48, temperature: 0 }).withResponse();
    expect(data.choices[0]!.message.content).toMatch(/Paris/);
    expect(data.model).toBe('smollm2');
    const row = await ledger.call(request_id!);
    expect(row).toMatchObject({ status: 200, usage_source: 'provider', input_tokens: data.usage!.prompt_tokens, output_tokens: data.usage!.completion_tokens });
    expect(BigInt(row.cost_nano!)).toBe(BigInt(data.usage!.prompt_tokens) * INPUT_NANO + BigInt(data.usage!.completion_tokens) * OUTPUT_NANO);
  });

  it('streams its tokens as they come, and the stream is recorded and priced', async () => {
    const { data: stream, request_id } = await client.chat.completions
      .create({ model: 'smollm2', messages, max_tokens: 48, temperature: 0, stream: true })
      .withResponse();
    const arrivals: number[] = [];
    let text = '';
    for await (const chunk of stream) {
      arrivals.push(performance.now());
      text += chunk.choices[0]?.delta.content ?? '';
    }
    expect(text).toMatch(/Paris/);
    expect(arrivals.length).toBeGreaterThan(3);
    // Chunks come one after the other, not all at the end.
    expect(arrivals.at(-1)! - arrivals[0]!).toBeGreaterThan(20);
    const row = await ledger.call(request_id!);
    expect(row.status).toBe(200);
    expect(row.output_tokens).toBeGreaterThan(3);
    expect(BigInt(row.cost_nano!)).toBeGreaterThan(0n);
  });
});
