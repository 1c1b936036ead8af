import { Inject, Injectable } from '@nestjs/common';
import { readDocument, routeHealthSchema, routeIncidentSchema, type RouteHealth, type RouteIncident } from '@omg/contracts';
import type { RouteHealthState } from '@omg/domain';
import { withDeadline, type Logger } from '@omg/service-kit';
import { BUCKETS, KvBucket, type NatsClient } from '@omg/storage';
import { LOGGER, NATS } from '../http/tokens.js';

const READ_MAX_MS = 2000;

/** What the health monitor published. Without NATS nothing is known, which is never an error of the admin API. */
@Injectable()
export class RouteHealthReader {
  private readonly health: KvBucket;
  private readonly incidentBucket: KvBucket;

  constructor(
    @Inject(NATS) nats: NatsClient,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.health = new KvBucket(nats, BUCKETS.health);
    this.incidentBucket = new KvBucket(nats, BUCKETS.incidents);
  }

  /** Route id -> state; a state that is too old is unknown. */
  async states(): Promise<(routeId: string) => RouteHealthState> {
    const byRoute = new Map<string, RouteHealth>();
    for (const text of await this.read(this.health)) {
      const health = readDocument(routeHealthSchema, text);
      if (health) byRoute.set(health.routeId, health);
    }
    const nowMs = Date.now();
    return (routeId) => {
      const found = byRoute.get(routeId);
      return found && found.validUntilMs > nowMs ? found.state : 'unknown';
    };
  }

  /** Newest first. */
  async incidents(): Promise<RouteIncident[]> {
    const found = (await this.read(this.incidentBucket)).flatMap((text) => {
      const incident = readDocument(routeIncidentSchema, text);
      return incident ? [incident] : [];
    });
    return found.sort((a, b) => b.startedAtMs - a.startedAtMs);
  }

  private async read(bucket: KvBucket): Promise<string[]> {
    try {
      return [...(await withDeadline(bucket.entries(), READ_MAX_MS)).values()].map(({ value }) => value);
    } catch (error) {
      this.logger.debug({ err: error, bucket: bucket.settings.name }, 'health could not be read');
      return [];
    }
  }
}
