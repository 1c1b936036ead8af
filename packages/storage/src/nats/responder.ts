import type { NatsConnection } from '@nats-io/transport-node';

export interface ResponderOptions {
  subject: string;
  /** One member of the group answers each request. */
  queueGroup: string;
  /** Requests under way; more are left unanswered, and their senders' deadlines tell them. */
  concurrency: number;
  /** Returns the reply; its rejection leaves the request unanswered. */
  answer: (payload: string) => Promise<string>;
  onError: (error: unknown) => void;
}

/** Answers requests for as long as the connection lives, over reconnects. Returns the end of it. */
export function respond(connection: NatsConnection, options: ResponderOptions): { stop(): Promise<void> } {
  let running = 0;
  const subscription = connection.subscribe(options.subject, {
    queue: options.queueGroup,
    callback: (error, message) => {
      if (error) return options.onError(error);
      if (running >= options.concurrency) return options.onError(new Error(`more than ${options.concurrency} requests on ${options.subject}`));
      running += 1;
      options
        .answer(message.string())
        .then((reply) => message.respond(reply))
        .catch(options.onError)
        .finally(() => (running -= 1));
    },
  });
  return { stop: () => subscription.drain() };
}
