import { describe, expect, it } from '@jest/globals';
import { changedFields, withoutSecrets } from './redact.js';

describe('what the audit log keeps of a change', () => {
  it('drops every secret by its name, at any depth, and keeps limits and ids that only sound like one', () => {
    const kept = withoutSecrets({
      name: 'acme',
      password: 'p',
      smtp: { password: 'q', host: 'mail' },
      api_key: 'sk-1',
      provider_config: { azure: { apiKey: 'k', client_secret: 's', access_key_id: 'AKIA' } },
      refresh_token: 't',
      list: [{ secret: 'x' }],
      tokens_per_minute: 10,
      tokensPerMinute: 11,
      api_key_id: 'id',
      max_output_tokens: 5,
      has_secret: true,
    });
    expect(kept).toEqual({
      name: 'acme',
      password: '[redacted]',
      smtp: { password: '[redacted]', host: 'mail' },
      api_key: '[redacted]',
      provider_config: { azure: { apiKey: '[redacted]', client_secret: '[redacted]', access_key_id: 'AKIA' } },
      refresh_token: '[redacted]',
      list: [{ secret: '[redacted]' }],
      tokens_per_minute: 10,
      tokensPerMinute: 11,
      api_key_id: 'id',
      max_output_tokens: 5,
      has_secret: true,
    });
  });

  it('masks the credentials of URLs', () => {
    expect(withoutSecrets({ webhooks: ['https://h.example/x?k=1'] })).toEqual({ webhooks: ['https://h.example/x?***'] });
  });

  it('keeps only fields that differ when both states are known', () => {
    expect(changedFields({ a: 1, b: { x: 1 }, c: 3 }, { a: 2, b: { x: 1 }, d: 4 })).toEqual({
      before: { a: 1, c: 3, d: null },
      after: { a: 2, c: null, d: 4 },
    });
    expect(changedFields(null, { a: 1 })).toEqual({ after: { a: 1 } });
  });
});
