import { Module } from '@nestjs/common';
import { ModelCatalogController } from './model-catalog.controller.js';
import { ModelCatalogService } from './model-catalog.service.js';
import { RouteCheck } from './route-check.js';
import { RouteHealthReader } from './route-health.js';
import { RouteTester } from './route-tester.js';
import { RoutingService } from './routing.service.js';

@Module({ controllers: [ModelCatalogController], providers: [ModelCatalogService, RoutingService, RouteTester, RouteCheck, RouteHealthReader] })
export class ModelCatalogModule {}
