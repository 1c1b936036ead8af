import { randomUUID } from 'node:crypto';
import { STREAMS } from '@omg/contracts';
import { cleanUp, startNats, waitFor } from '@omg/testkit';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { publishUsageBatch } from './bus.js';
import { connectNats, type NatsClient } from './connection.js';
import { USAGE_ACK_WAIT_MS, acknowledge, ensureUsageStreams, keepMessage, subscribeToUsage, usageBacklog, type UsageMessage } from './usage-stream.js';

let nats: NatsClient;

beforeAll(async () => {
  nats = connectNats({ url: (await startNats()).url }, { name: 'usage-stream-test' });
  await nats.connected();
});

afterAll(async () => {
  await nats.close();
  await cleanUp();
});

const stream = { maxBytes: 16 * 1_048_576, replicas: 1 };
const publish = () => publishUsageBatch(nats, { batchId: randomUUID(), edgeId: 'edge-1', events: [] }, 30_000);

async function ackWaitMs(): Promise<number> {
  const manager = await jetstreamManager(await nats.connected());
  return (await manager.consumers.info(STREAMS.usage.name, STREAMS.usage.consumer)).config.ack_wait! / 1e6;
}

describe('the consumer of the usage stream', () => {
  it('of an earlier release takes over the present wait at the start, for messages under way too', async () => {
    const connection = await nats.connected();
    await ensureUsageStreams(connection, { ...stream, ackWaitMs: 3_600_000 });
    await publish();
    const deliveries: UsageMessage[] = [];
    const first = await subscribeToUsage(connection, (message) => deliveries.push(message));
    await waitFor(() => deliveries.length === 1);
    await first.stop();
    await ensureUsageStreams(connection, stream);
    expect(await ackWaitMs()).toBe(USAGE_ACK_WAIT_MS);
    const second = await subscribeToUsage(connection, (message) => deliveries.push(message));
    const again = await waitFor(() => deliveries[1]);
    expect(again).toMatchObject({ streamSequence: deliveries[0]!.streamSequence, deliveries: 2 });
    // Any of the subjects of its deliveries acknowledges it.
    acknowledge(connection, deliveries[0]!.ackSubject);
    await waitFor(async () => (await usageBacklog(connection)).oldestAtMs === undefined);
    await second.stop();
  });

  it('delivers a message again only when nobody has kept it for the whole wait', async () => {
    const connection = await nats.connected();
    await ensureUsageStreams(connection, { ...stream, ackWaitMs: 6_000 });
    const deliveries: UsageMessage[] = [];
    const subscription = await subscribeToUsage(connection, (message) => deliveries.push(message));
    await publish();
    await waitFor(() => deliveries.length === 1);
    const { ackSubject } = deliveries[0]!;
    let kept = 0;
    // A hundred and thirty tenths of a second: more than two waits.
    await waitFor(
      () => {
        keepMessage(connection, ackSubject);
        kept += 1;
        return kept > 130;
      },
      { intervalMs: 100 },
    );
    expect(deliveries).toHaveLength(1);
    await waitFor(() => deliveries.length === 2);
    acknowledge(connection, ackSubject);
    await waitFor(async () => (await usageBacklog(connection)).oldestAtMs === undefined);
    await subscription.stop();
  });
});
