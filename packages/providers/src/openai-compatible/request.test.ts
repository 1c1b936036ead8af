import { describe, expect, it } from '@jest/globals';
import { fc } from '@omg/testkit/properties';
import type { ProviderCall } from '../spec/provider.js';
import type { Transport } from '../spec/transport.js';
import { makeCall } from '../testing/call.js';
import { RequestWriter, type RequestRules } from './request.js';

const RULES: RequestRules = { outputLimit: 'as_sent', streamOptions: true, developerRole: true };
const NOWHERE: Transport = { send: () => Promise.reject(new Error('no call is made here')) };

function write(body: Record<string, unknown> | string, rules: Partial<RequestRules> = {}, over: Partial<ProviderCall> = {}): any {
  const call = makeCall(NOWHERE, body, { operation: 'chat', ...over });
  const before = call.raw.toString();
  const sent = new RequestWriter('up', { ...RULES, ...rules }).write(call).toString();
  expect(call.raw.toString()).toBe(before);
  return JSON.parse(sent);
}

const ASK = { model: 'a', messages: [{ role: 'user', content: 'hi' }] };

describe('the upstream body', () => {
  it('means the same as the client body with another model, whatever else is in it', () => {
    const key = fc.oneof(fc.constantFrom('model', 'stream_options', 'max_tokens', 'temperature', 'messages', '__proto__x'), fc.string());
    fc.assert(
      fc.property(fc.dictionary(key, fc.jsonValue()), fc.constantFrom(undefined, 2), (extra, indent) => {
        const body = { ...extra, model: 'a', stream: false };
        const raw = JSON.stringify(body, null, indent);
        expect(write(raw)).toEqual({ ...(JSON.parse(raw) as object), model: 'up' });
      }),
    );
  });

  it.each([
    [{ max_tokens: 5 }, 'max_completion_tokens', { max_completion_tokens: 5 }],
    [{ max_completion_tokens: 5 }, 'max_tokens', { max_tokens: 5 }],
    [{ max_tokens: 5 }, 'max_tokens', { max_tokens: 5 }],
    [{ max_tokens: 5, max_completion_tokens: 6 }, 'max_tokens', { max_tokens: 5, max_completion_tokens: 6 }],
    [{}, 'max_tokens', {}],
  ] as const)('names the output limit %j as %s', (given, outputLimit, sent) => {
    expect(write({ ...given, ...ASK }, { outputLimit })).toEqual({ ...ASK, model: 'up', ...sent });
  });

  it.each(['n', 'stream', 'tools', 'anything', 'm\\u006f'])('has each name once, also where the client wrote %s twice', (name) => {
    const raw = `{"model":"a","${name}":[1],"messages":[],"${name}":[2]}`;
    const sent = new RequestWriter('up', RULES).write(makeCall(NOWHERE, raw, { operation: 'chat' })).toString();
    expect(sent.match(/\[[12]\]/g)).toEqual(['[2]']);
  });

  it('keeps the lowest limit, under the name that the server knows, in a body that is written anew', () => {
    const twice = '{"model":"x","max_tokens":9,"max_completion_tokens":6,"model":"a","messages":[]}';
    expect(write(twice, { outputLimit: 'max_tokens' })).toEqual({ model: 'up', messages: [], max_tokens: 6 });
    expect(write(twice, { outputLimit: 'max_completion_tokens' }, { maxOutputTokens: 4 })).toEqual({ model: 'up', messages: [], max_completion_tokens: 4 });
  });

  it('leaves stream_options out where the server refuses them, and usage is asked for where it does not', () => {
    expect(write({ ...ASK, stream: true, stream_options: { include_usage: true } }, { streamOptions: false })).toEqual({ ...ASK, model: 'up', stream: true });
    expect(write({ stream_options: {}, ...ASK, stream: true }, { streamOptions: false })).toEqual({ ...ASK, model: 'up', stream: true });
    expect(write({ ...ASK, stream: true }).stream_options).toEqual({ include_usage: true });
    expect(write({ ...ASK })).not.toHaveProperty('stream_options');
  });

  it('calls developers system where the server does not know them, in their place and only as a role', () => {
    const messages = [
      { role: 'developer', content: '"role":"developer"' },
      { role: 'user', content: [{ type: 'text', text: 'developer', role: 'developer' }] },
      { content: 'later', role: 'developer' },
    ];
    const mapped = [{ ...messages[0], role: 'system' }, messages[1], { ...messages[2], role: 'system' }];
    expect(write({ model: 'a', messages }).messages).toEqual(messages);
    expect(write({ model: 'a', messages }, { developerRole: false }).messages).toEqual(mapped);
    expect(write(`{"model":"b","model":"a","messages":${JSON.stringify(messages)}}`, { developerRole: false }).messages).toEqual(mapped);
    expect(write('{"model":"a","messages":[{"role":"dev\\u0065loper","content":"x"}]}', { developerRole: false }).messages[0].role).toBe('system');
  });

  it('renames members where they stand, and in a body that is written anew', () => {
    const renames = { seed: 'random_seed' };
    expect(write({ ...ASK, seed: 7 }, { renames })).toEqual({ ...ASK, model: 'up', random_seed: 7 });
    expect(write(`{"model":"b",${JSON.stringify({ ...ASK, seed: 7 }).slice(1)}`, { renames })).toEqual({ ...ASK, model: 'up', random_seed: 7 });
  });
});
