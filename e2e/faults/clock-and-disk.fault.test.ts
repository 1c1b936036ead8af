import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { addCleanup, cleanUp, startService, waitFor, type RunningApp } from '@omg/testkit';
import { checkBooks, printFigures } from './support/books.js';
import { startFaultStack } from './support/fault-stack.js';
import { call, createAgent, startLoad, type Outcome } from './support/load.js';
import { againSoon, newStory, share, type Story } from './support/scenario.js';

/** An edge whose host is wrong: its clock, or its disk. */

let story: Story;

beforeAll(async () => {
  story = newStory(await startFaultStack());
});

afterAll(cleanUp);

const books = (estimatesAllowed = false) =>
  checkBooks(story.stack, { outcomes: story.outcomes, provider: story.stack.provider, formerApps: story.formerApps, estimatesAllowed });
const answered = (outcome: Outcome) => outcome.status === 200 && outcome.whole;
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Moves a process's wall clock, as a host with a wrong time would. */
const shiftedClock = (ms: number): string =>
  `--import data:text/javascript,${encodeURIComponent(
    `const now = Date.now; const Real = Date;
     globalThis.Date = class extends Real { constructor(...a) { a.length === 0 ? super(now() + ${ms}) : super(...a); } static now() { return now() + ${ms}; } };`,
  )}`;

describe('a clock one hour wrong on one edge', () => {
  for (const [name, ms] of [
    ['fast', 3_600_000],
    ['slow', -3_600_000],
  ] as const) {
    it(`${name}: windows, budgets and rows agree with the other edge`, async () => {
      const { stack } = story;
      const wrong = await startService('edge-gateway', { ...stack.env, NODE_OPTIONS: shiftedClock(ms) });
      await waitFor(async () => (await call(createAgent(), wrong.url, 'embeddings')).status !== 0);
      const load = startLoad([stack.edge.url, wrong.url], 60);
      await wait(3_000);
      const outcomes = await load.stop();
      story.outcomes.push(...outcomes);
      story.formerApps.push(wrong);
      const figures = await books();
      await wrong.stop();
      printFigures(`edge clock one hour ${name}`, { ...figures, servedByWrongClock: outcomes.length / 2 });
      expect(share(outcomes, answered)).toBe(1);
    });
  }
});

/** A file system of 64 KiB where we may mount one, else a spool of the least size that the configuration allows. */
function smallSpool(): { env: Record<string, string>; kind: string } {
  const folder = mkdtempSync(join(tmpdir(), 'omg-spool-'));
  addCleanup(async () => rmSync(folder, { recursive: true, force: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
    addCleanup(async () => void execFileSync('umount', [folder]));
    return { env: { ROUTER_METERING_SPOOL_DIRECTORY: folder }, kind: 'file system of 64 KiB' };
  } catch {
    return { env: { ROUTER_METERING_SPOOL_DIRECTORY: folder, ROUTER_METERING_SPOOL_MAX_MB: '1' }, kind: 'spool of 1 MiB' };
  }
}

describe('Redis and NATS away together, and then the disk full', () => {
  it('usage goes to the spool; once that is full new calls are refused; everything answered is booked afterwards', async () => {
    const { stack } = story;
    const spool = smallSpool();
    const edge: RunningApp = await startService('edge-gateway', { ...stack.env, ...spool.env });
    await waitFor(async () => {
      const outcome = await call(createAgent(), edge.url, 'chat');
      story.outcomes.push(outcome);
      return answered(outcome);
    });
    await Promise.all([stack.redis!.kill(), stack.nats.kill()]);
    const load = startLoad([edge.url], 100);
    await waitFor(() => load.outcomes.some((outcome) => outcome.errorCode === 'metering_unavailable'), {
      timeoutMs: 90_000,
      what: 'the edge to refuse calls because usage cannot be kept',
    });
    await wait(2_000);
    const outcomes = await load.stop();
    story.outcomes.push(...outcomes);
    stack.redis = await againSoon(() => stack.redis!.again());
    stack.nats = await againSoon(() => stack.nats.again());
    story.formerApps.push(edge);
    const figures = await books();
    const kept = outcomes.filter(answered).length;
    printFigures('full disk under the spool', { ...figures, disk: spool.kind, answeredOnSpoolAlone: kept });
    expect(kept).toBeGreaterThan(0);
    const again = await waitFor(async () => {
      const outcome = await call(createAgent(), edge.url, 'chat');
      story.outcomes.push(outcome);
      return answered(outcome) ? outcome : undefined;
    });
    expect(again.status).toBe(200);
    await books();
    await edge.stop();
  });
});
