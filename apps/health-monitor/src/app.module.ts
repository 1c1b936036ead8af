import { Module } from '@nestjs/common';

/** The monitor has no routes of its own: health, readiness and metrics come with every service. */
@Module({})
export class MonitorModule {}
