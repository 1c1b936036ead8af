import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import { ProviderError } from '../spec/provider-error.js';
import { ChatStreamRewriter } from './stream.js';

interface Result {
  chunks: any[];
  error: unknown;
  rewriter: ChatStreamRewriter;
}

function run(text: string | Buffer, { includeUsage = false, cuts = [] as number[], stopMeansToolCalls = true } = {}): Result {
  const rewriter = new ChatStreamRewriter({ aliasJson: Buffer.from('"my-alias"'), streamed: true, includeUsage, stopMeansToolCalls }, 17);
  const bytes = Buffer.from(text as string);
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  const out: Buffer[] = [];
  for (const [i, from] of at.slice(0, -1).entries()) {
    const frames = rewriter.push(bytes.subarray(from, at[i + 1]));
    if (frames !== undefined) out.push(Buffer.from(frames));
  }
  const last = rewriter.end();
  if (last !== undefined) out.push(last);
  const frames = Buffer.concat(out).toString().split('\n\n').slice(0, -1);
  let error: unknown;
  try {
    rewriter.check();
  } catch (caught) {
    error = caught;
  }
  return { chunks: frames.map((frame) => JSON.parse(frame.replace(/^data: /, ''))), error, rewriter };
}

function sse(...chunks: unknown[]): string {
  return chunks.map((chunk) => `data: ${typeof chunk === 'string' ? chunk : JSON.stringify(chunk)}\n\n`).join('');
}

const BASE = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1700000000, model: 'gpt-x-2026-01-01' };

function chunk(delta: unknown, finish: unknown = null, over: object = {}): object {
  return { ...BASE, choices: [{ index: 0, delta, finish_reason: finish }], ...over };
}

const USAGE = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12, prompt_tokens_details: { cached_tokens: 4 } };
const PLAIN = sse(
  chunk({ role: 'assistant', content: '', refusal: null }, null, { usage: null, obfuscation: 'x' }),
  chunk({ content: 'Hé' }, null, { usage: null }),
  chunk({ content: '😀"\\' }, null, { usage: null }),
  chunk({}, 'stop', { usage: null }),
  { ...BASE, choices: [], usage: USAGE, service_tier: 'default' },
  '[DONE]',
);

describe('a chat stream on its way through', () => {
  it('gives the same frames wherever the network cuts it', () => {
    for (const includeUsage of [false, true]) {
      const whole = run(PLAIN, { includeUsage });
      expect(whole.error).toBeUndefined();
      fc.assert(
        fc.property(fc.array(fc.nat(Buffer.byteLength(PLAIN)), { maxLength: 12 }), (cuts) => {
          const cut = run(PLAIN, { includeUsage, cuts });
          expect(cut.chunks).toEqual(whole.chunks);
          expect(cut.rewriter.meters).toEqual(whole.rewriter.meters);
          expect(cut.rewriter.outputBytes).toBe(9);
        }),
        { numRuns: 50 },
      );
    }
  });

  it('names the alias in every chunk and leaves the rest as it came', () => {
    const { chunks } = run(PLAIN);
    expect(chunks).toEqual([
      { ...chunk({ role: 'assistant', content: '', refusal: null }), model: 'my-alias', obfuscation: 'x' },
      { ...chunk({ content: 'Hé' }), model: 'my-alias' },
      { ...chunk({ content: '😀"\\' }), model: 'my-alias' },
      { ...chunk({}, 'stop'), model: 'my-alias' },
    ]);
  });

  it('sends usage:null on every chunk and the usage last to a client that asked, and no usage at all to one that did not', () => {
    expect(run(PLAIN).chunks.every((c) => !('usage' in c))).toBe(true);
    const { chunks, rewriter } = run(PLAIN, { includeUsage: true });
    expect(chunks.map((c) => c.usage)).toEqual([null, null, null, null, USAGE]);
    expect(chunks.at(-1)).toEqual({ ...BASE, model: 'my-alias', choices: [], usage: USAGE, service_tier: 'default' });
    expect(rewriter.meters).toEqual({ inputTokens: 9, outputTokens: 3, cachedInputTokens: 4 });
  });

  it('moves usage that came with the finish chunk, or on every chunk, into a last chunk of its own', () => {
    const growing = sse(
      chunk({ content: 'a' }, null, { usage: { ...USAGE, completion_tokens: 1 } }),
      chunk({ content: 'b' }, 'stop', { usage: USAGE }),
      '[DONE]',
    );
    const { chunks, rewriter } = run(growing, { includeUsage: true });
    expect(chunks.map((c) => [c.choices.length, c.usage])).toEqual([
      [1, null],
      [1, null],
      [0, USAGE],
    ]);
    expect(rewriter.meters?.outputTokens).toBe(3);
    expect(run(growing).chunks.some((c) => 'usage' in c)).toBe(false);
  });

  it('tells a client that asked for usage what is booked where the server counts nothing, in a last chunk like the others', () => {
    const uncounted = sse(chunk({ content: 'four letters' }), chunk({}, 'stop', { usage: {} }), '[DONE]');
    const { chunks, rewriter } = run(uncounted, { includeUsage: true });
    expect(rewriter.meters).toBeUndefined();
    expect(chunks.at(-1)).toEqual({ ...BASE, model: 'my-alias', choices: [], usage: { prompt_tokens: 17, completion_tokens: 3, total_tokens: 20 } });
    expect(chunks.slice(0, -1).map((c) => c.usage)).toEqual([null, null]);
    expect(run(uncounted).chunks.some((c) => 'usage' in c)).toBe(false);
  });

  it('keeps one id and one time, and invents them where the server leaves them empty', () => {
    const { chunks } = run(
      sse(
        { id: '', object: '', created: 0, model: '', choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
        chunk({ content: 'a' }),
        chunk({ content: 'b' }, null, { id: 'chatcmpl-2', created: 1700000001 }),
        { id: '', model: '', object: '', created: 0, choices: [{ index: 0, finish_reason: null, content_filter_results: {}, content_filter_offsets: {} }] },
        chunk({}, 'stop'),
      ),
    );
    expect(chunks).toHaveLength(4);
    expect(new Set(chunks.map((c) => `${c.id} ${c.created} ${c.object} ${c.model}`))).toEqual(
      new Set(['chatcmpl-1 1700000000 chat.completion.chunk my-alias']),
    );
    expect(chunks[2].choices[0].delta).toEqual({});
    const bare = run(sse({ id: '', created: 0, choices: [{ delta: { content: 'a' } }] }, { choices: [{ delta: {}, finish_reason: 'stop' }] }), {
      includeUsage: true,
    }).chunks;
    expect(bare[0]).toMatchObject({ object: 'chat.completion.chunk', model: 'my-alias', usage: null });
    expect(bare[0].choices).toEqual([{ index: 0, delta: { role: 'assistant', content: 'a' }, finish_reason: null }]);
    expect(bare[0].id).toMatch(/^chatcmpl-[0-9a-f]{24}$/);
    expect(bare[0].created).toBeGreaterThan(1_700_000_000);
    expect([bare[1].id, bare[1].created]).toEqual([bare[0].id, bare[0].created]);
  });

  it('says the role once, also when the server repeats it, leaves it empty or out', () => {
    for (const first of [{ role: 'assistant', content: 'a' }, { role: '', content: 'a' }, { role: null, content: 'a' }, { content: 'a' }, {}]) {
      const { chunks } = run(sse(chunk(first), chunk({ role: 'assistant', content: 'b' }), chunk({ role: 'assistant' }, 'stop')));
      expect(chunks.map((c) => c.choices[0].delta.role)).toEqual(['assistant', undefined, undefined]);
    }
  });

  it('spells reasoning text one way', () => {
    for (const delta of [{ reasoning: 'why' }, { reasoning_content: 'why' }, { thinking: 'why' }, { reasoning: 'why', reasoning_content: 'why' }]) {
      const { chunks, rewriter } = run(sse(chunk({ role: 'assistant', content: '', ...delta }), chunk({}, 'stop')));
      expect(chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '', reasoning_content: 'why' });
      expect(rewriter.outputBytes).toBe(3);
    }
  });

  it.each([
    ['', null],
    ['eos_token', 'stop'],
    ['model_length', 'length'],
    ['weird_vendor_word', 'stop'],
    ['content_filter', 'content_filter'],
  ])('turns finish_reason %j into %j', (word, expected) => {
    const { chunks } = run(sse(chunk({ content: 'a' }, word), chunk({}, 'stop')));
    expect(chunks[0].choices[0].finish_reason).toBe(expected);
  });

  it('joins data that came in several lines into one line', () => {
    const { chunks, error } = run(`data: {"id":"a","choices":[{"index":0,\ndata: "delta":{"content":"x"},\ndata: "finish_reason":"stop"}]}\n\n`);
    expect(error).toBeUndefined();
    expect(chunks[0].choices[0].delta.content).toBe('x');
  });

  it('never passes comments, and ignores what follows [DONE]', () => {
    const { chunks, error } = run(`: OPENROUTER PROCESSING\r\n\r\n${PLAIN.replaceAll('\n', '\r\n')}data: {"error":"late"}\r\n\r\n: ping\r\n\r\n`);
    expect(error).toBeUndefined();
    expect(chunks).toHaveLength(4);
  });

  it('keeps interleaved choices apart', () => {
    const at = (index: number, delta: object, finish_reason: string | null = null): object => ({ ...BASE, choices: [{ index, delta, finish_reason }] });
    const { chunks, error } = run(sse(at(1, { content: 'a' }), at(0, { content: 'b' }), at(0, {}, 'stop'), at(1, {}, 'length')));
    expect(error).toBeUndefined();
    expect(chunks.map((c) => c.choices[0].delta.role)).toEqual(['assistant', 'assistant', undefined, undefined]);
    expect((run(sse(at(1, { content: 'a' }), at(0, {}, 'stop'))).error as ProviderError).kind).toBe('malformed');
  });
});

describe('a chat stream that fails', () => {
  it.each([
    ['is cut before the finish', sse(chunk({ content: 'a' })), 1],
    ['says [DONE] without having finished', sse(chunk({ content: 'a' }), '[DONE]'), 1],
    ['is empty', '', 0],
    ['holds only comments', ': ping\n\n', 0],
    ['is cut inside an event', `${sse(chunk({ content: 'a' }))}data: {"id"`, 1],
    ['holds a broken object', sse(chunk({ content: 'a' }), '{"id":"x","choices":[{'), 1],
    ['holds something else than JSON', sse(chunk({ content: 'a' }), 'oops'), 1],
    ['is no event stream', '{"id":"x"}', 0],
  ])('is malformed when it %s; what came before is passed', (_name, text, frames) => {
    const { chunks, error } = run(text);
    expect(error).toBeInstanceOf(ProviderError);
    expect((error as ProviderError).kind).toBe('malformed');
    expect(chunks).toHaveLength(frames);
  });

  it.each([
    [{ error: { message: 'boom', type: 'server_error', code: null } }, 'server_error'],
    [{ error: { message: 'The server is overloaded', code: 'server_is_overloaded' } }, 'overloaded'],
    [{ error: { message: 'too long', code: 'context_length_exceeded' } }, 'context_length'],
    [{ error: { message: 'slow down', code: 429 } }, 'rate_limited'],
    [{ error: 'text only' }, 'server_error'],
    [{ object: 'error', message: 'CUDA error', type: 'InternalServerError', code: 500 }, 'server_error'],
    [{ ...BASE, choices: [{ index: 0, delta: {}, finish_reason: 'error' }] }, 'server_error'],
  ])('throws %j as what it is, without a fake stop', (fault, kind) => {
    const { chunks, error } = run(sse(chunk({ content: 'a' }), fault, '[DONE]'));
    expect((error as ProviderError).kind).toBe(kind);
    expect(chunks).toHaveLength(1);
  });
});

describe('tool calls in a stream', () => {
  const call = (over: object): object => ({ index: 0, id: 'call_a', type: 'function', function: { name: 'f', arguments: '{}' }, ...over });
  const calls = (result: Result): any[] => {
    const merged: any[] = [];
    for (const c of result.chunks) {
      for (const part of c.choices[0]?.delta.tool_calls ?? []) {
        const known = (merged[part.index] ??= { id: part.id, type: part.type, name: part.function.name, args: '' });
        known.args += part.function.arguments ?? '';
      }
    }
    return merged;
  };
  const TWO = [
    { id: 'call_a', type: 'function', name: 'f', args: '{"x":1}' },
    { id: 'call_b', type: 'function', name: 'g', args: '{"y":2}' },
  ];

  it.each([
    [
      'as OpenAI sends them',
      [
        [call({ function: { name: 'f', arguments: '' } })],
        [{ index: 0, function: { arguments: '{"x"' } }],
        [{ index: 0, function: { arguments: ':1}' } }],
        [call({ index: 1, id: 'call_b', function: { name: 'g', arguments: '' } })],
        [{ index: 1, function: { arguments: '{"y":2}' } }],
      ],
    ],
    ['all numbered 0', [[call({ function: { name: 'f', arguments: '{"x":1}' } })], [call({ id: 'call_b', function: { name: 'g', arguments: '{"y":2}' } })]]],
    [
      'numbered 0 in one chunk',
      [[call({ function: { name: 'f', arguments: '{"x":1}' } }), call({ id: 'call_b', function: { name: 'g', arguments: '{"y":2}' } })]],
    ],
    [
      'without index and type, whole',
      [
        [
          { id: 'call_a', function: { name: 'f', arguments: '{"x":1}' } },
          { id: 'call_b', function: { name: 'g', arguments: '{"y":2}' } },
        ],
      ],
    ],
    [
      'without index, in fragments with ids',
      [
        [{ id: 'call_a', type: 'function', function: { name: 'f', arguments: '{"x"' } }],
        [{ id: 'call_b', type: 'function', function: { name: 'g', arguments: '{"y"' } }],
        [{ id: 'call_a', function: { name: '', arguments: ':1}' } }],
        [{ id: 'call_b', function: { name: '', arguments: ':2}' } }],
      ],
    ],
    [
      'without index and ids on fragments',
      [
        [{ id: 'call_a', type: 'function', function: { name: 'f', arguments: '{"x"' } }],
        [{ function: { arguments: ':1}' } }],
        [{ id: 'call_b', type: 'function', function: { name: 'g', arguments: '{"y"' } }],
        [{ function: { arguments: ':2}' } }],
      ],
    ],
    [
      'by place in the list',
      [
        [
          { id: 'call_a', type: 'function', function: { name: 'f', arguments: '{"x"' } },
          { id: 'call_b', type: 'function', function: { name: 'g', arguments: '{"y"' } },
        ],
        [{ function: { arguments: ':1}' } }, { function: { arguments: ':2}' } }],
      ],
    ],
    [
      'counting other blocks',
      [
        [call({ index: 1, function: { name: 'f', arguments: '' } })],
        [{ index: 1, function: { arguments: '{"x":1}' } }],
        [call({ index: 3, id: 'call_b', function: { name: 'g', arguments: '{"y":2}' } })],
      ],
    ],
    [
      'with arguments as objects',
      [[call({ function: { name: 'f', arguments: { x: 1 } } }), call({ id: 'call_b', function: { name: 'g', arguments: { y: 2 } } })]],
    ],
  ])('are numbered one by one and whole: %s', (_name, deltas) => {
    const result = run(sse(...deltas.map((tool_calls) => chunk({ tool_calls })), chunk({}, 'tool_calls')));
    expect(result.error).toBeUndefined();
    expect(calls(result)).toEqual(TWO);
  });

  it('gives a call without an id one, and no fragment a second', () => {
    const result = run(
      sse(
        chunk({ tool_calls: [{ index: 0, function: { name: 'f', arguments: '{' } }] }),
        chunk({ tool_calls: [{ index: 0, id: '', function: { arguments: '}' } }] }, 'tool_calls'),
      ),
    );
    expect(calls(result)).toEqual([{ id: expect.stringMatching(/^call_[0-9a-f]{24}$/), type: 'function', name: 'f', args: '{}' }]);
  });

  it.each([
    ['empty', [[call({ function: { name: 'f', arguments: '' } })]]],
    ['null', [[call({ function: { name: 'f', arguments: null } })]]],
    ['left out', [[call({ function: { name: 'f' } })]]],
    ['empty in every fragment', [[call({ function: { name: 'f', arguments: '' } })], [{ index: 0, function: { arguments: '' } }]]],
  ])('makes {} of arguments that are %s, with the finish in its own chunk or in the same', (_name, deltas) => {
    const own = run(sse(...deltas.map((tool_calls) => chunk({ tool_calls })), chunk({}, 'tool_calls')), { includeUsage: true });
    expect(calls(own).map((c) => c.args)).toEqual(['{}']);
    expect(own.chunks.at(-2).choices[0].finish_reason).toBe('tool_calls');
    expect(new Set(own.chunks.map((c) => c.id))).toEqual(new Set(['chatcmpl-1']));
    if (deltas.length === 1) expect(calls(run(sse(chunk({ tool_calls: deltas[0] }, 'tool_calls')))).map((c) => c.args)).toEqual(['{}']);
  });

  it('passes a call that the length limit cut as it came', () => {
    const result = run(sse(chunk({ tool_calls: [call({ function: { name: 'f', arguments: '' } })] }), chunk({}, 'length')));
    expect(calls(result)[0].args).toBe('');
    expect(result.chunks.at(-1).choices[0].finish_reason).toBe('length');
  });

  it('ends with tool_calls where the server says stop, unless the server means it', () => {
    const text = sse(chunk({ tool_calls: [call({})] }), chunk({}, 'stop'));
    expect(run(text).chunks.at(-1).choices[0].finish_reason).toBe('tool_calls');
    expect(run(text, { stopMeansToolCalls: false }).chunks.at(-1).choices[0].finish_reason).toBe('stop');
  });

  it('works with the index after the delta, and with spaces everywhere', () => {
    const text = JSON.stringify({ id: 'x', choices: [{ delta: { tool_calls: [call({ index: 5 })], content: null }, index: 0 }] }, null, 1).replaceAll(
      '\n',
      ' ',
    );
    const result = run(sse(text, chunk({}, 'tool_calls')));
    expect(result.error).toBeUndefined();
    expect(calls(result)).toEqual([{ id: 'call_a', type: 'function', name: 'f', args: '{}' }]);
    expect(result.chunks[0].choices[0]).toMatchObject({ finish_reason: null, delta: { role: 'assistant' } });
  });
});
