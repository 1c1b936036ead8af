import { expect } from '@jest/globals';
import type { BatteryFixtures } from '../../testing/battery.js';
import * as wire from './wire.js';

export const fixtures: BatteryFixtures = {
  ...wire,
  settings: (origin) => ({ base_url: `${origin}/v1`, api_key: wire.secret, openai_organization: 'org-test' }),
  chat: {
    ...wire.chat,
    length: {
      ...wire.chat.length,
      sent: (request) => {
        expect(request.url).toBe('/v1/chat/completions');
        expect(request.headers).toMatchObject({ authorization: `Bearer ${wire.secret}`, 'openai-organization': 'org-test' });
        expect(JSON.parse(request.body.toString())).toMatchObject({ model: 'upstream-model', max_completion_tokens: 16 });
      },
    },
  },
};
