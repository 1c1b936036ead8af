import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { ConfigOf } from '@omg/service-kit';
import type { PrismaClient } from '@omg/database';
import { ADMIN_CONFIG, PRISMA } from '../http/tokens.js';
import { RecurringRun } from '../recurring-run.js';
import { buildDay, dropOldDays, missingDays } from './usage-days.queries.js';

const EVERY_MS = 60_000;
/** Zones that are kept summed besides the configured one: each costs some rows per day. */
const EXTRA_ZONES_MAX = 12;
const ZONE_IDLE_DAYS = 30;
/** A zone's last use is written this often at most. */
const TOUCH_EVERY_MS = 3_600_000;

/**
 * Keeps the day sums of the reporting timezone and of zones that callers asked for. Replicas may run it side by side: days
 * are built one at a time under a lock, and building one twice changes nothing. Reports stay exact without it, only slower.
 */
@Injectable()
export class UsageDaysJob implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly runs = new RecurringRun('usage-days', EVERY_MS, () => this.buildMissing());
  private readonly touchedMs = new Map<string, number>();

  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    @Inject(ADMIN_CONFIG) private readonly config: ConfigOf<'reporting'>,
  ) {}

  onApplicationBootstrap(): void {
    this.runs.start();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.runs.stop();
  }

  /** Notes that a zone is in use, so that its days are built from now on. */
  async touch(zone: string): Promise<void> {
    if (zone === this.config.reporting.timezone) return;
    const nowMs = Date.now();
    if (nowMs - (this.touchedMs.get(zone) ?? 0) < TOUCH_EVERY_MS) return;
    if (this.touchedMs.size >= 1_000) this.touchedMs.clear();
    this.touchedMs.set(zone, nowMs);
    await this.prisma.usageZone.upsert({ where: { zone }, create: { zone }, update: { lastUsedAt: new Date() } });
  }

  /** Builds every closed day that lacks its sums. */
  async buildMissing(): Promise<number> {
    const zones = await this.zones();
    await dropOldDays(this.prisma, zones);
    let built = 0;
    for (const zone of zones) {
      for (const day of await missingDays(this.prisma, zone)) {
        if (this.runs.isStopped) return built;
        await buildDay(this.prisma, zone, day);
        built++;
      }
    }
    return built;
  }

  private async zones(): Promise<string[]> {
    const since = new Date(Date.now() - ZONE_IDLE_DAYS * 86_400_000);
    const extra = await this.prisma.usageZone.findMany({ where: { lastUsedAt: { gt: since } }, orderBy: { lastUsedAt: 'desc' }, take: EXTRA_ZONES_MAX });
    return [this.config.reporting.timezone, ...extra.map(({ zone }) => zone)];
  }
}
