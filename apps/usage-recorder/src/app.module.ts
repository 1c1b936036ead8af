import { Module } from '@nestjs/common';

/** The recorder has no routes of its own: probes and metrics come from the service kit, work comes from the bus. */
@Module({})
export class AppModule {}
