import { readDocument } from '@omg/contracts';
import type { Subscription } from '@nats-io/transport-node';
import type { z } from 'zod';
import type { NatsClient } from './connection.js';

/**
 * Hears a subject for as long as the client lives, through every reconnect. At most once: what is said while NATS is away is
 * lost. Messages that do not fit the schema are dropped, so a newer sender cannot break an older listener.
 */
export function subscribeJson<T>(client: NatsClient, subject: string, schema: z.ZodType<T>, onMessage: (message: T) => void): { close(): void } {
  let subscription: Subscription | undefined;
  const end = client.onUp((connection) => {
    // The client keeps subscriptions over its own reconnects; only a new connection needs a new one.
    if (subscription && !subscription.isClosed()) return;
    subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) return;
        const document = readDocument(schema, message.string());
        if (document !== undefined) onMessage(document);
      },
    });
  });
  return {
    close() {
      end();
      subscription?.unsubscribe();
    },
  };
}
