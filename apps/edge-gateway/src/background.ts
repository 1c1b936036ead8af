import { encodeUsageEvent, type UsageEvent } from '@omg/contracts';
import type { ServiceContext } from '@omg/service-kit';
import { ensureUsageStreams, publishRouteOutcome, publishUsageBatch, type NatsClient, type Spool } from '@omg/storage';
import { randomUUID } from 'node:crypto';
import type { EDGE_SECTIONS } from './config.js';
import { abortRequest } from './data-plane/context.js';
import type { EdgeServices } from './edge-services.js';

const OUTCOME_EVERY_MS = 1000;
const CLOCK_EVERY_MS = 10_000;
const CLOCK_RETRY_MS = 500;
const SPOOL_EVERY_MS = 2000;
const STREAM_RETRY_MS = 1000;
const REPLAY_TIMEOUT_MS = 5000;

export interface Background {
  services: EdgeServices;
  service: ServiceContext<(typeof EDGE_SECTIONS)[number]>;
  nats: NatsClient;
  spool: Spool;
  edgeId: string;
  streamBytesMax: number;
}

/** What an edge does beside its requests; each part ends with the process and none can hurt a request. */
export function startBackground(parts: Background): void {
  renewLeases(parts);
  tellOutcomes(parts);
  followRedisTime(parts);
  replaySpool(parts);
  ensureStreams(parts);
  abortAtDeadline(parts);
}

function every(parts: Background, name: string, everyMs: number, work: () => unknown): void {
  const timer = setInterval(work, everyMs);
  parts.service.lifecycle.onClose(name, () => clearInterval(timer));
}

/** A long call keeps its lease; that of a killed edge runs out. */
function renewLeases(parts: Background): void {
  const { services } = parts;
  const { leaseMs } = services.config;
  every(parts, 'lease renewal', leaseMs / 3, () => {
    const dueBeforeMs = services.clock.nowMs() - leaseMs / 3;
    services.inFlight.forEach(({ grant, caller, event }) => {
      if (!grant?.inRedis || !caller || event || grant.admittedAtMs > dueBeforeMs) return;
      services.admission.renew(caller.tenant.doc.id, caller.key.doc.id, grant.attemptId, leaseMs).catch(() => undefined);
    });
  });
}

function tellOutcomes(parts: Background): void {
  every(parts, 'route outcomes', OUTCOME_EVERY_MS, () => {
    if (!parts.nats.isConnected) return;
    const outcome = parts.services.routing.takeOutcomes(parts.edgeId);
    if (outcome) publishRouteOutcome(parts.nats, outcome);
  });
}

function followRedisTime(parts: Background): void {
  const { services, service } = parts;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const synchronize = async (): Promise<void> => {
    let nextMs = CLOCK_EVERY_MS;
    try {
      await services.clock.synchronize(() => services.admission.serverTimeMs());
    } catch {
      nextMs = CLOCK_RETRY_MS;
    }
    if (!closed) timer = setTimeout(() => void synchronize(), nextMs);
  };
  void synchronize();
  service.lifecycle.onClose('clock', () => {
    closed = true;
    clearTimeout(timer);
  });
}

/** What waits on disk goes to the bus as soon as it is back; rows are booked once per event, so a repeated replay is safe. */
function replaySpool(parts: Background): void {
  const { nats, spool, service } = parts;
  every(parts, 'spool replay', SPOOL_EVERY_MS, () => {
    if (spool.isEmpty || !nats.isConnected) return;
    spool
      .replay((events) =>
        publishUsageBatch(
          nats,
          { batchId: randomUUID(), edgeId: parts.edgeId, events: events.map((text) => encodeUsageEvent(JSON.parse(text) as UsageEvent)) },
          REPLAY_TIMEOUT_MS,
        ),
      )
      .then(
        (result) => service.logger.info(result, 'spool replayed'),
        (error: unknown) => service.logger.warn({ err: error }, 'spool not replayed'),
      );
  });
}

/** The recorder makes the stream as well: whichever comes first. */
function ensureStreams(parts: Background): void {
  const { nats, service, streamBytesMax } = parts;
  let retry: NodeJS.Timeout | undefined;
  const stop = nats.onUp(function ensure(connection): void {
    clearTimeout(retry);
    ensureUsageStreams(connection, { maxBytes: streamBytesMax, replicas: nats.replicas }).catch((error: unknown) => {
      service.logger.warn({ err: error }, 'usage stream could not be made yet');
      retry = setTimeout(() => ensure(connection), STREAM_RETRY_MS);
    });
  });
  service.lifecycle.onClose('usage stream', () => {
    stop();
    clearTimeout(retry);
  });
}

/** Streams may end until the drain's deadline; what still runs then is aborted and recorded. */
function abortAtDeadline(parts: Background): void {
  parts.service.shutdown.deadline.addEventListener('abort', () => {
    parts.services.inFlight.forEach((ctx) => abortRequest(ctx, 'shutdown'));
  });
}
