import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp, TEST_ADMIN, waitFor } from '@omg/testkit';
import pg from 'pg';
import { checkBooks, printFigures } from './support/books.js';
import { startFaultStack } from './support/fault-stack.js';
import { call, createAgent } from './support/load.js';
import { againSoon, newStory, play, share, type Story } from './support/scenario.js';

/**
 * Every process of the product dies in mid-load (SIGKILL) and comes back, and every one is away for 30 s. Afterwards
 * the books must be exact each time.
 */

let story: Story;

beforeAll(async () => {
  story = newStory(await startFaultStack({ edges: 2 }));
});

afterAll(cleanUp);

type App = 'recorder' | 'admin' | 'monitor';
type Store = 'nats' | 'redis' | 'postgres';

const killApp = (name: App) => () => story.stack[name].kill();
const healApp = (name: App) => async () => {
  story.formerApps.push(story.stack[name]);
  story.stack[name] = await story.stack[name].again();
};
const killStore = (name: Store) => () => story.stack[name]!.kill();
const healStore = (name: Store) => async () => {
  story.stack[name] = await againSoon(() => story.stack[name]!.again());
};
/** What the admin API says while its database is away: to come back later, and no error of its own. */
async function expectAdminToWait(): Promise<void> {
  const { status, headers } = await fetch(`${story.stack.admin.url}/admin/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(TEST_ADMIN),
  });
  expect([status, Number(headers.get('retry-after')) > 0]).toEqual([503, true]);
}
const answered = (outcome: { status: number; whole: boolean }) => outcome.status === 200 && outcome.whole;

const PACE = { perSecond: 60, beforeMs: 1_500, lastsMs: 500, afterMs: 2_000 };
/** What a dead recorder had taken waits for another one only as long as its signs of life bound it. */
const HANDED_OVER_MS = 12_000;
const AWAY = { perSecond: 25, beforeMs: 1_000, lastsMs: 30_000, afterMs: 2_000 };

describe('kill -9 in mid-load', () => {
  it('edge: the other edge serves on, and what the dead one had under way is booked', async () => {
    const outcomes = await play(story, {
      name: 'kill edge',
      ...PACE,
      fault: () => story.stack.edges[0]!.kill(),
      heal: async () => {
        story.formerApps.push(story.stack.edges[0]!);
        story.stack.edges[0] = await story.stack.edges[0]!.again();
        story.stack.edge = story.stack.edges[0];
      },
    });
    // The other edge takes half of the load, and the first serves again at the end.
    expect(share(outcomes, answered)).toBeGreaterThan(0.5);
  });

  for (const name of ['recorder', 'admin', 'monitor'] as const) {
    it(`${name}: no client notices, no usage is lost or counted twice`, async () => {
      const outcomes = await play(story, { name: `kill ${name}`, ...PACE, fault: killApp(name), heal: healApp(name), settledWithinMs: HANDED_OVER_MS });
      expect(share(outcomes, answered)).toBe(1);
    });
  }

  for (const name of ['nats', 'redis', 'postgres'] as const) {
    it(`${name}: clients are served on, no usage is lost or counted twice`, async () => {
      const outcomes = await play(story, { name: `kill ${name}`, ...PACE, fault: killStore(name), heal: healStore(name) });
      expect(share(outcomes, answered)).toBeGreaterThan(0.97);
    });
  }
});

describe('away for 30 seconds', () => {
  for (const name of ['recorder', 'admin', 'monitor'] as const) {
    it(`${name}: every call is answered and everything is booked afterwards`, async () => {
      const outcomes = await play(story, { name: `${name} away`, ...AWAY, fault: killApp(name), heal: healApp(name), settledWithinMs: HANDED_OVER_MS });
      expect(share(outcomes, answered)).toBe(1);
    });
  }

  for (const name of ['nats', 'redis', 'postgres'] as const) {
    it(`${name}: clients are served on and everything is booked afterwards`, async () => {
      const heal = async (): Promise<void> => {
        const checked = name === 'postgres' ? expectAdminToWait() : Promise.resolve();
        await Promise.allSettled([checked]);
        await healStore(name)();
        await checked;
      };
      const outcomes = await play(story, { name: `${name} away`, ...AWAY, fault: killStore(name), heal });
      expect(share(outcomes, answered)).toBeGreaterThan(0.97);
    });
  }
});

describe('an edge that stands still for longer than its leases', () => {
  it('has its calls booked by estimate meanwhile, and exactly once it goes on', async () => {
    const { stack } = story;
    const [edge] = stack.edges;
    const db = new pg.Client({ connectionString: stack.databaseUrl });
    await db.connect();
    const lost = async (): Promise<number> =>
      Number((await db.query<{ n: string }>("SELECT count(*)::text AS n FROM requests WHERE error_code = 'attempt_lost'")).rows[0]!.n);
    const before = await lost();
    stack.provider.pace.held = true;
    const agent = createAgent();
    const streams = Array.from({ length: 20 }, () => call(agent, edge!.url, 'stream', { timeoutMs: 90_000 }));
    await waitFor(() => stack.provider.openStreams === 20, { what: '20 open streams' });
    edge!.pause();
    const bookedByEstimate = await waitFor(async () => ((await lost()) - before >= 20 ? (await lost()) - before : undefined), {
      what: 'the reaper to book the calls of the edge that stands still',
    });
    edge!.resume();
    stack.provider.pace.held = false;
    const outcomes = await Promise.all(streams);
    story.outcomes.push(...outcomes);
    // An edge that was killed earlier left estimates that are final.
    await waitFor(async () => (await lost()) === before, { what: 'the estimates to be replaced' });
    await db.end();
    const figures = await checkBooks(stack, { outcomes: story.outcomes, provider: stack.provider, formerApps: story.formerApps });
    printFigures('edge stands still', { ...figures, bookedByEstimate, whole: outcomes.filter(answered).length });
    expect(share(outcomes, answered)).toBe(1);
  });
});

describe('a store that hangs with its sockets open', () => {
  for (const lastsMs of [2_000, 20_000]) {
    it(`redis for ${lastsMs / 1000} s: handled like a Redis that is away`, async () => {
      const { redis } = story.stack;
      const outcomes = await play(story, {
        name: `redis hangs ${lastsMs / 1000} s`,
        ...AWAY,
        lastsMs,
        fault: async () => redis!.pause(),
        heal: async () => redis!.resume(),
      });
      expect(share(outcomes, answered)).toBeGreaterThan(0.97);
    });
  }
});
