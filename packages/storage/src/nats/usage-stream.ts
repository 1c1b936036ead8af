import { STREAMS, deadLetterSchema, type DeadLetter } from '@omg/contracts';
import {
  AckPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  jetstream,
  jetstreamManager,
  type ConsumerInfo,
  type JetStreamManager,
  type JsMsg,
  type StreamConfig,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/**
 * The usage stream: a work queue on file storage. A message stays until the recorder acknowledges it, which happens only
 * after its events are committed; a full stream refuses new messages and loses none (the edge then keeps its usage in
 * Redis or on disk).
 *
 * The acknowledgement is a publish to a subject that every message carries. It travels with the job, so that any recorder
 * may acknowledge what another one received.
 */

export interface UsageStreamOptions {
  /** Largest size of the stream; its publishers are refused beyond it. */
  maxBytes: number;
  replicas: number;
  /** After this time without acknowledgement or sign of life (`keepMessage`) a message is delivered again. */
  ackWaitMs?: number;
}

/** A batch message may not be larger. */
export const USAGE_MESSAGE_BYTES_MAX = 1_048_576;
/** Messages that are delivered and not acknowledged, over all recorders: what bounds queue and memory. */
export const USAGE_UNACKED_MAX = 512;
/**
 * How long the messages of a recorder that died wait for another one. Whoever holds a message prolongs this several times
 * within it, so a recorder that is alive and slow keeps what it has.
 */
export const USAGE_ACK_WAIT_MS = 5_000;

const DUPLICATE_WINDOW_NS = 120 * 1e9;
const DEAD_LETTER_BYTES_MAX = 256 * 1_048_576;
const DEAD_LETTER_AGE_NS = 30 * 86_400 * 1e9;
const STREAM_NOT_FOUND = 10_059;

/** Creates the streams and the recorder's consumer, or brings them up to date. Safe to call from many processes at once. */
export async function ensureUsageStreams(connection: NatsConnection, options: UsageStreamOptions): Promise<void> {
  const manager = await jetstreamManager(connection);
  await ensureStream(manager, {
    name: STREAMS.usage.name,
    subjects: [STREAMS.usage.subject],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_bytes: options.maxBytes,
    num_replicas: options.replicas,
    duplicate_window: DUPLICATE_WINDOW_NS,
  });
  await ensureStream(manager, {
    name: STREAMS.usageDeadLetter.name,
    subjects: [STREAMS.usageDeadLetter.subject],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_bytes: DEAD_LETTER_BYTES_MAX,
    max_age: DEAD_LETTER_AGE_NS,
    num_replicas: options.replicas,
    duplicate_window: DUPLICATE_WINDOW_NS,
  });
  // Adding a consumer that exists with the same settings changes nothing; with others it is updated. Deliveries are not
  // counted against a message: what cannot be booked becomes a dead letter by its content, and the rest must never be dropped.
  const settings = { ack_wait: (options.ackWaitMs ?? USAGE_ACK_WAIT_MS) * 1e6, max_ack_pending: USAGE_UNACKED_MAX, max_deliver: -1 };
  const { name, consumer, subject } = STREAMS.usage;
  try {
    await manager.consumers.add(name, { durable_name: consumer, ack_policy: AckPolicy.Explicit, filter_subject: subject, ...settings });
  } catch {
    await manager.consumers.update(name, consumer, settings);
  }
}

async function ensureStream(manager: JetStreamManager, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  try {
    await manager.streams.info(config.name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== STREAM_NOT_FOUND) throw error;
    await manager.streams.add(config);
    return;
  }
  await manager.streams.update(config.name, config);
}

/** A delivered batch. */
export interface UsageMessage {
  /** The publisher's message id: the batch's id. */
  messageId: string | undefined;
  payload: Uint8Array;
  streamSequence: number;
  publishedAtMs: number;
  deliveries: number;
  /** Where the acknowledgement goes; see `acknowledge`. */
  ackSubject: string;
}

export interface UsageSubscription {
  /** Stops the delivery; what was delivered stays unacknowledged. */
  stop(): Promise<void>;
  /** Ends when the delivery does, whatever the reason. */
  ended: Promise<void>;
}

/** Starts to deliver batches to `onMessage`, which must not throw. At most USAGE_UNACKED_MAX are under way. */
export async function subscribeToUsage(connection: NatsConnection, onMessage: (message: UsageMessage) => void): Promise<UsageSubscription> {
  const consumer = await jetstream(connection).consumers.get(STREAMS.usage.name, STREAMS.usage.consumer);
  const messages = await consumer.consume({ max_messages: 128, abort_on_missing_resource: true });
  const ended = (async () => {
    for await (const message of messages) onMessage(read(message));
  })();
  return { stop: async () => void (await messages.close()), ended };
}

function read(message: JsMsg): UsageMessage {
  return {
    messageId: message.headers?.get('Nats-Msg-Id') || undefined,
    payload: message.data,
    streamSequence: message.seq,
    publishedAtMs: Math.floor(message.info.timestampNanos / 1e6),
    deliveries: message.info.deliveryCount,
    ackSubject: (message as unknown as { msg: { reply: string } }).msg.reply,
  };
}

/** Takes the message out of the stream. Fire and forget: a lost acknowledgement only means another delivery. */
export function acknowledge(connection: NatsConnection, ackSubject: string): void {
  connection.publish(ackSubject, '+ACK');
}

/** Begins the message's wait for its acknowledgement anew. Fire and forget; for a message that is gone it does nothing. */
export function keepMessage(connection: NatsConnection, ackSubject: string): void {
  connection.publish(ackSubject, '+WPI');
}

/** Resolves once the letter is stored; the same id within the duplicate window is stored once. */
export async function publishDeadLetter(connection: NatsConnection, id: string, letter: DeadLetter): Promise<void> {
  await jetstream(connection).publish(STREAMS.usageDeadLetter.subject, JSON.stringify(letter), { msgID: id });
}

/** The oldest dead letters, for operators. They stay in the stream. */
export async function readDeadLetters(connection: NatsConnection, limit: number): Promise<DeadLetter[]> {
  const manager = await jetstreamManager(connection);
  const { name } = STREAMS.usageDeadLetter;
  const { state } = await manager.streams.info(name);
  const letters: DeadLetter[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq && letters.length < limit; seq++) {
    const stored = await manager.streams.getMessage(name, { seq }).catch(() => null);
    if (stored) letters.push(deadLetterSchema.parse(stored.json()));
  }
  return letters;
}

export interface UsageBacklog {
  /** Batches that were never delivered. */
  waiting: number;
  /** Delivered and not yet acknowledged. */
  unacknowledged: number;
  deadLetters: number;
  /** Publication of the oldest message that is not booked; undefined when there is none. */
  oldestAtMs: number | undefined;
}

export async function usageBacklog(connection: NatsConnection): Promise<UsageBacklog> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const info: ConsumerInfo = await manager.consumers.info(STREAMS.usage.name, STREAMS.usage.consumer);
  const { state } = await manager.streams.info(STREAMS.usage.name);
  const dead = await manager.streams.info(STREAMS.usageDeadLetter.name);
  return {
    waiting: info.num_pending,
    unacknowledged: info.num_ack_pending,
    deadLetters: dead.state.messages,
    // A work queue holds nothing but what is not acknowledged.
    oldestAtMs: state.messages > 0 ? Date.parse(state.first_ts) : undefined,
  };
}
