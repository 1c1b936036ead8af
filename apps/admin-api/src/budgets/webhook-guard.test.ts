import { describe, expect, it } from '@jest/globals';
import { WebhookGuard } from './webhook-guard.js';

const guardOf = (...webhookAllowlist: string[]) => new WebhookGuard({ security: { webhookAllowlist } } as never);

describe('a webhook that is saved', () => {
  it.each([
    ['http://10.1.2.3:9000/hook', '10.0.0.0/8'],
    ['http://[fd00::1]/hook', 'fd00::/8'],
    ['http://HOOKS.invalid/hook', 'hooks.invalid'],
    ['http://hooks.teams.invalid/hook', '*.invalid'],
    ['https://10.1.2.3/hook', '10.1.2.3'],
  ])('may be %s where the allowlist has %s', async (url, entry) => {
    await guardOf(entry).check([url]);
    await expect(guardOf('192.168.0.0/16', 'other.invalid').check([url])).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('speaks TLS where nobody allowed otherwise, and leads to no private address', async () => {
    await expect(guardOf().check(['http://192.0.2.1/hook'])).rejects.toThrow('must be https URLs');
    await expect(guardOf().check(['https://127.0.0.1/hook'])).rejects.toThrow('private network');
    await guardOf().check(['https://1.1.1.1/hook']);
  });
});
