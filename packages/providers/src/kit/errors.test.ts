import { describe, expect, it } from '@jest/globals';
import { parseRetryAfterMs, providerError, readFault } from './errors.js';

function kind(status: number, body: unknown): string {
  return providerError(status, readFault(typeof body === 'string' ? body : JSON.stringify(body))).kind;
}

describe('error mapping', () => {
  it.each([
    [400, { error: { message: 'bad', type: 'invalid_request_error', param: null, code: null } }, 'invalid_request'],
    [400, { error: { message: "This model's maximum context length is 8192 tokens.", code: 'context_length_exceeded' } }, 'context_length'],
    [400, { error: { code: 400, message: 'the request exceeds the available context size', type: 'exceed_context_size_error' } }, 'context_length'],
    [400, { object: 'error', message: "This model's maximum context length is 2048 tokens.", type: 'BadRequestError', code: 400 }, 'context_length'],
    [400, { error: { code: 'content_filter', message: 'filtered', innererror: { code: 'ResponsibleAIPolicyViolation' } } }, 'content_filter'],
    [400, { error: { message: 'x', innererror: { code: 'ResponsibleAIPolicyViolation' } } }, 'content_filter'],
    [400, { error: { message: 'x', code: 'unsupported_parameter', param: 'max_tokens' } }, 'unsupported_parameter'],
    [400, { error: { message: 'x', code: 'unsupported_parameter', param: null } }, 'invalid_request'],
    [400, { error: { message: 'x', code: 'model_not_found', param: 'model' } }, 'not_found'],
    [413, { error: 'batch size 64 > maximum allowed batch size 32', error_type: 'Validation' }, 'invalid_request'],
    [422, { detail: [{ loc: ['body', 'messages'], msg: 'field required' }] }, 'invalid_request'],
    [424, { error: 'Inference failed', error_type: 'Backend' }, 'server_error'],
    [401, { error: { message: 'no', code: 'invalid_api_key' } }, 'auth'],
    [402, {}, 'auth'],
    [403, '<html>', 'auth'],
    [404, { error: { code: 'DeploymentNotFound', message: 'x' } }, 'not_found'],
    [302, '', 'not_found'],
    [408, '', 'timeout'],
    [429, { error: { type: 'insufficient_quota', code: 'insufficient_quota' } }, 'rate_limited'],
    [500, { error: { message: 'x', code: 'content_filter' } }, 'server_error'],
    [502, 'Bad gateway', 'server_error'],
    [503, '', 'overloaded'],
    [529, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'overloaded'],
    [504, '', 'timeout'],
  ])('calls %i %j %s', (status, body, expected) => {
    expect(kind(status, body)).toBe(expected);
  });

  it('keeps credentials out of the text for the log and bounds it', () => {
    const secret = 'sk-proj-abcdefghijklmnop';
    const error = providerError(401, readFault(JSON.stringify({ error: { message: `Incorrect API key provided: ${secret}. ${'x '.repeat(2000)}` } })));
    expect(error.internal).not.toContain('abcdefghijkl');
    expect(error.internal!.length).toBeLessThanOrEqual(500);
    expect(error.message).not.toContain('Incorrect');
  });

  it('keeps what a validator quotes of the request out of the text for the log', () => {
    const prompt = 'my diagnosis';
    const detail = [
      { type: 'string_type', loc: ['body', 'messages', 0], msg: 'Input should be a valid string', input: { content: prompt }, ctx: { given: prompt } },
    ];
    const python = `[{'type': 'missing', 'loc': ('body', 'model'), 'msg': 'Field required', 'input': {'messages': [{'content': '${prompt}'}]}}]`;
    for (const body of [{ detail }, { object: 'error', message: python, code: 400 }, { error: { message: JSON.stringify(detail) } }]) {
      const { internal } = providerError(422, readFault(JSON.stringify(body)));
      expect(internal).toMatch(/Input should be a valid string|Field required/);
      expect(internal).not.toContain(prompt);
    }
  });

  it('reads every form of retry-after and bounds it to an hour', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(parseRetryAfterMs({ 'retry-after-ms': '12.5', 'retry-after': '9' }, now)).toBe(13);
    expect(parseRetryAfterMs({ 'retry-after': '2' }, now)).toBe(2000);
    expect(parseRetryAfterMs({ 'retry-after': '0.5' }, now)).toBe(500);
    expect(parseRetryAfterMs({ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, now)).toBe(30_000);
    expect(parseRetryAfterMs({ 'retry-after': 'Wed, 31 Dec 2025 00:00:30 GMT' }, now)).toBe(0);
    expect(parseRetryAfterMs({ 'retry-after': '999999' }, now)).toBe(3_600_000);
    expect(parseRetryAfterMs({ 'retry-after': 'soon' }, now)).toBeUndefined();
    expect(parseRetryAfterMs({}, now)).toBeUndefined();
  });
});
