import { Module } from '@nestjs/common';
import { RateLimitsController } from '../rate-limits/rate-limits.controller.js';
import { AlertSettingsController } from './alert-settings.controller.js';
import { DefaultModelsController } from './default-models.controller.js';
import { ProvidersController } from './providers.controller.js';

@Module({ controllers: [RateLimitsController, DefaultModelsController, AlertSettingsController, ProvidersController] })
export class SettingsModule {}
