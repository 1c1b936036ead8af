import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { DownloadsController } from './downloads.controller.js';

@Module({ imports: [AuthModule], controllers: [DownloadsController] })
export class DownloadsModule {}
