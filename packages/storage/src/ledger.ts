/** What the usage recorder works with: its stream and what answers the edges. */
export {
  USAGE_ACK_WAIT_MS,
  USAGE_MESSAGE_BYTES_MAX,
  USAGE_UNACKED_MAX,
  acknowledge,
  ensureUsageStreams,
  keepMessage,
  publishDeadLetter,
  readDeadLetters,
  subscribeToUsage,
  usageBacklog,
  type UsageBacklog,
  type UsageMessage,
  type UsageStreamOptions,
  type UsageSubscription,
} from './nats/usage-stream.js';
export { respond, type ResponderOptions } from './nats/responder.js';
