import { Module } from '@nestjs/common';
import { ApiKeyTerms } from './api-key-terms.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysService } from './api-keys.service.js';

@Module({ controllers: [ApiKeysController], providers: [ApiKeysService, ApiKeyTerms] })
export class ApiKeysModule {}
