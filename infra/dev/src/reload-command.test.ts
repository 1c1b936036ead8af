import { describe, expect, it } from '@jest/globals';
import { outcomeOf } from './reload-command.ts';

const reloaded = (applied: string[], needRestart: string[]) => ({ msg: 'configuration reloaded', applied, needRestart });

describe('what became of a reload', () => {
  it('is not known before a service has logged it', () => {
    expect(outcomeOf([{ msg: 'request' }])).toBeUndefined();
  });

  it('names what applies at once, what at the next start, and keys that have no effect', () => {
    const lines = [{ warning: 'limits: unknown key, it has no effect' }, reloaded(['observability.log_level'], ['redis.url'])];
    expect(outcomeOf(lines)).toEqual({
      isRefused: false,
      text: 'applied observability.log_level; takes effect at the next start: redis.url; limits: unknown key, it has no effect',
    });
    expect(outcomeOf([reloaded([], [])])).toEqual({ isRefused: false, text: 'nothing changed' });
  });

  it('names catalog entries whose routes are switched off, and leaves out the secrets that the profile fills in', () => {
    const lines = [
      { msg: 'bootstrap', warning: 'model_catalog[2]: unknown provider: opnai; this route is switched off' },
      { warning: 'secrets.api_key_pepper: not set, so the well-known value of the profile demo is used' },
      reloaded(['model_catalog'], []),
    ];
    expect(outcomeOf(lines)).toEqual({
      isRefused: false,
      text: 'applied model_catalog; model_catalog[2]: unknown provider: opnai; this route is switched off',
    });
  });

  it('is a failure when a part could not take what changed, with its reason', () => {
    const lines = [{ part: 'catalog and defaults', err: { message: 'bootstrap: api key x names the tenant y' } }, reloaded(['bootstrap.api_keys'], [])];
    expect(outcomeOf(lines)).toEqual({
      isRefused: true,
      text: 'applied bootstrap.api_keys; catalog and defaults failed: bootstrap: api key x names the tenant y',
    });
  });

  it('is a refusal with each problem when the file has mistakes', () => {
    const lines = [{ msg: 'the changed configuration is refused; the former one stays', problems: ['budgets.default_usd: must be a number'] }];
    expect(outcomeOf(lines)).toEqual({ isRefused: true, text: 'refused, nothing changed: budgets.default_usd: must be a number' });
  });
});
