import { describe, expect, it } from '@jest/globals';
import { anthropicError } from './errors.js';

describe('failures of the Messages API', () => {
  it.each([
    [400, 'invalid_request_error', 'max_tokens: 9000 > 8192, which is the maximum', 'invalid_request', 'max_tokens'],
    [400, 'invalid_request_error', '`temperature` may only be set to 1 when thinking is enabled.', 'invalid_request', 'temperature'],
    [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.', 'auth', undefined],
    [400, 'invalid_request_error', 'input length and `max_tokens` exceed context limit: 199000 + 9000 > 200000', 'context_length', undefined],
    [402, 'billing_error', 'x', 'auth', undefined],
    [403, 'permission_error', 'x', 'auth', undefined],
    [413, 'request_too_large', 'Request exceeds the maximum size', 'invalid_request', undefined],
    [504, 'timeout_error', 'x', 'timeout', undefined],
    [529, 'overloaded_error', 'Overloaded', 'overloaded', undefined],
    [529, undefined, undefined, 'overloaded', undefined],
    [502, undefined, '<html>', 'server_error', undefined],
  ])('%i %s is told as %s', (status, type, message, kind, param) => {
    expect(anthropicError(status, { type, message })).toMatchObject({ kind, param, status });
  });

  it('keeps the wait that the provider asks for, and no key in the log', () => {
    const error = anthropicError(429, { type: 'rate_limit_error', message: 'key sk-ant-api03-abcdefghijklmnop is over its limit' }, { 'retry-after': '3' });
    expect(error).toMatchObject({ kind: 'rate_limited', retryAfterMs: 3000 });
    expect(error.internal).not.toContain('abcdefghijklmnop');
  });
});
