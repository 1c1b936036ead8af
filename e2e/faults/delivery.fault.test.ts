import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { STREAMS, type UsageEvent } from '@omg/contracts';
import { cleanUp, waitFor } from '@omg/testkit';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { checkBooks, printFigures } from './support/books.js';
import { startFaultStack } from './support/fault-stack.js';
import { call, createAgent, startLoad } from './support/load.js';
import { newStory, type Story } from './support/scenario.js';

/** What the bus may do to usage: deliver it again, late, or mangled. */

let story: Story;
let bus: NatsConnection;

beforeAll(async () => {
  story = newStory(await startFaultStack({ ownServers: [] }));
  bus = await connect({ servers: story.stack.natsUrl });
});

afterAll(async () => {
  await bus.close();
  await cleanUp();
});

const books = () => checkBooks(story.stack, { outcomes: story.outcomes, provider: story.stack.provider });

async function publish(payload: string | Uint8Array, messageId?: string): Promise<void> {
  await jetstream(bus).publish(STREAMS.usage.subject, payload, messageId === undefined ? {} : { msgID: messageId });
}

/** The usage events of calls that were made now, as their edge told them, before the recorder takes them away from Redis. */
async function eventsOfCalls(count: number): Promise<UsageEvent[]> {
  const redis = new Redis(story.stack.redisUrl);
  story.stack.recorder.pause();
  try {
    const agent = createAgent();
    story.outcomes.push(...(await Promise.all(Array.from({ length: count }, () => call(agent, story.stack.edge.url, 'chat')))));
    const events: UsageEvent[] = [];
    for (const key of await redis.keys('omg:{*}:attempts')) {
      for (const record of await redis.hvals(key)) events.push(JSON.parse(record.slice(record.indexOf('{'))) as UsageEvent);
    }
    return events;
  } finally {
    story.stack.recorder.resume();
    redis.disconnect();
  }
}

const batchOf = (events: readonly unknown[], batchId = randomUUID()) => JSON.stringify({ v: 1, batchId, edgeId: 'test', events });

async function deadLetters(): Promise<number> {
  const streams = await jetstreamManager(bus);
  return (await streams.streams.info(STREAMS.usageDeadLetter.name).catch(() => undefined))?.state.messages ?? 0;
}

describe('usage that arrives again', () => {
  it('five times and after the dedupe window: it counts once', async () => {
    const events = await eventsOfCalls(20);
    expect(events).toHaveLength(20);
    const batchId = randomUUID();
    // Once more under its name, then under names the stream has not seen, as after its dedupe window.
    await publish(batchOf(events, batchId), batchId);
    await publish(batchOf(events, batchId), batchId);
    for (let again = 0; again < 5; again++) await publish(batchOf(events));
    const figures = await books();
    printFigures('delivered seven times', figures);
    expect(figures.usageRows).toBe(story.outcomes.length);
  });
});

describe('poison', () => {
  it('is dead-lettered while the rest flows: bad JSON, unknown version, 1 MiB, negative tokens, a good event beside a bad one', async () => {
    const [good] = await eventsOfCalls(1);
    const load = startLoad([story.stack.edge.url], 40);
    const before = await deadLetters();
    await publish('{"v":1,"batchId":');
    await publish(new Uint8Array([0xff, 0xfe, 0x00]));
    await publish(JSON.stringify({ v: 99, batchId: randomUUID(), edgeId: 'future', events: [] }));
    await publish('x'.repeat(1_000_000));
    await publish(batchOf([{ ...good, id: randomUUID(), meters: { inputTokens: -5, outputTokens: 1 } }, good]));
    await publish(batchOf([{ hello: 'world' }, null, 17]));
    // A message of 2 MiB is beyond the server's bound: the bus itself refuses it.
    await expect(publish('x'.repeat(2 * 1024 * 1024))).rejects.toThrow();
    if (bus.isClosed()) bus = await connect({ servers: story.stack.natsUrl });
    const dead = await waitFor(
      async () => {
        const count = (await deadLetters()) - before;
        return count >= 8 ? count : undefined;
      },
      { what: 'eight dead letters' },
    );
    story.outcomes.push(...(await load.stop()));
    const figures = await books();
    printFigures('poison', { ...figures, deadLetters: dead });
    expect(dead).toBe(8);
    expect(figures.answered).toBe(story.outcomes.length);
  });
});
