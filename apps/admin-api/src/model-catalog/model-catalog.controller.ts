import { Body, Controller, Delete, Get, Headers, Param, Post, Query } from '@nestjs/common';
import {
  aliasSchema,
  catalogEntryInputSchema,
  catalogEntrySchema,
  catalogRemoveQuerySchema,
  catalogSchema,
  catalogStatusSchema,
  explainQuerySchema,
  explainSchema,
  incidentListSchema,
  incidentQuerySchema,
  priceHistorySchema,
  routeTestInputSchema,
  routeTestSchema,
} from '@omg/contracts';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { ModelCatalogService } from './model-catalog.service.js';
import { RouteTester } from './route-tester.js';
import { RoutingService } from './routing.service.js';

@Controller('admin')
export class ModelCatalogController {
  constructor(
    private readonly catalog: ModelCatalogService,
    private readonly routing: RoutingService,
    private readonly tester: RouteTester,
  ) {}

  @Get('model-catalog')
  @Permission('any:viewer')
  @Returns(catalogSchema, { summary: 'List the routes of all models; secrets are masked' })
  list() {
    return this.catalog.list();
  }

  @Post('model-catalog')
  @Permission('super_admin')
  @Returns(catalogEntrySchema, { summary: 'Make or replace a route of a model' })
  upsert(
    @Caller() caller: Principal,
    @Body({ schema: catalogEntryInputSchema }) body: Parsed<typeof catalogEntryInputSchema>,
    @Headers('if-match') ifMatch?: string,
  ) {
    return this.catalog.upsert(caller, body, ifMatch);
  }

  @Get('model-catalog/status')
  @Permission('any:viewer')
  @Returns(catalogStatusSchema, { summary: 'Show how each model stands' })
  status() {
    return this.routing.statuses();
  }

  @Delete('model-catalog/:alias')
  @Permission('super_admin')
  @Returns(undefined, { summary: 'Remove a model, or one of its routes' })
  async remove(
    @Caller() caller: Principal,
    @Param('alias', { schema: aliasSchema }) alias: string,
    @Query({ schema: catalogRemoveQuerySchema }) query: Parsed<typeof catalogRemoveQuerySchema>,
    @Headers('if-match') ifMatch?: string,
  ): Promise<void> {
    await this.catalog.remove(caller, alias, query.id, ifMatch);
  }

  @Get('model-catalog/:alias/prices')
  @Permission('any:viewer')
  @Returns(priceHistorySchema, { summary: 'List the price versions of a model' })
  prices(@Param('alias', { schema: aliasSchema }) alias: string) {
    return this.catalog.priceHistory(alias);
  }

  @Post('model-catalog/:alias/test')
  @Permission('super_admin')
  @Returns(routeTestSchema, { summary: 'Try the routes of a model' })
  test(
    @Caller() caller: Principal,
    @Param('alias', { schema: aliasSchema }) alias: string,
    @Body({ schema: routeTestInputSchema }) body: Parsed<typeof routeTestInputSchema>,
  ) {
    return this.tester.test(caller, alias, body);
  }

  @Get('routing/explain')
  @Permission('any:viewer')
  @Returns(explainSchema, { summary: 'Explain which routes a request would take, and why not the others' })
  explain(@Query({ schema: explainQuerySchema }) query: Parsed<typeof explainQuerySchema>) {
    return this.routing.explain(query);
  }

  @Get('routing/incidents')
  @Permission('any:viewer')
  @Returns(incidentListSchema, { summary: 'List the times in which routes were not healthy, newest first' })
  incidents(@Query({ schema: incidentQuerySchema }) query: Parsed<typeof incidentQuerySchema>) {
    return this.routing.incidents(query);
  }
}
