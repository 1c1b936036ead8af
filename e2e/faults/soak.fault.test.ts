import { afterAll, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { soak } from './support/soak.js';

afterAll(cleanUp);

it('a flapping route costs no client an error, and no call more than a fifth of upstream calls (short; ./omg test soak is the long one)', async () => {
  await soak({ seconds: 30, perSecond: 50 });
});
