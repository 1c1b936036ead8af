import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { MembershipsController } from './memberships.controller.js';
import { MembershipsService } from './memberships.service.js';

@Module({ imports: [AuthModule], controllers: [MembershipsController], providers: [MembershipsService] })
export class MembershipsModule {}
