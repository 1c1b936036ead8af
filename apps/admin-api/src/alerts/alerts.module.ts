import { Module } from '@nestjs/common';
import { AlertHistoryController } from './alert-history.controller.js';
import { AlertHistoryService } from './alert-history.service.js';

@Module({ controllers: [AlertHistoryController], providers: [AlertHistoryService] })
export class AlertsModule {}
