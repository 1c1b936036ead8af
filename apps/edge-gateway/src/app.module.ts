import { Module } from '@nestjs/common';

/** Nest gives the edge its life cycle; the data plane itself is plain functions on the Fastify instance (data-plane/register.ts). */
@Module({})
export class EdgeModule {}
