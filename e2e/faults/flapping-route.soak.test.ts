import { afterAll, it } from '@jest/globals';
import { cleanUp } from '@omg/testkit';
import { soak } from './support/soak.js';

afterAll(cleanUp, 60_000);

it('a route that flaps for ten minutes costs no client an error, and the upstream calls stay below 1.2 times the requests', async () => {
  await soak({ seconds: 600, perSecond: 50 });
}, 900_000);
