import { Module } from '@nestjs/common';
import { RateLimitsController } from '../rate-limits/rate-limits.controller.js';
import { AlertSettingsController } from './alert-settings.controller.js';
import { DefaultModelsController } from './default-models.controller.js';
import { ProvidersController } from './providers.controller.js';
import { StoredLimitsController } from './stored-limits.controller.js';

@Module({ controllers: [RateLimitsController, DefaultModelsController, AlertSettingsController, StoredLimitsController, ProvidersController] })
export class SettingsModule {}
