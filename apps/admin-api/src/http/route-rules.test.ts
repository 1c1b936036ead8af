import { Controller, Get, Module, Post } from '@nestjs/common';
import { DiscoveryModule, NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { describe, expect, it } from '@jest/globals';
import { Permission } from './permission.js';
import { RouteRules } from './route-rules.js';

@Controller('admin/good')
class GoodController {
  @Get(':tenantId')
  @Permission('tenant:viewer')
  read() {
    return {};
  }
}

@Controller('admin/bad')
class BadController {
  @Post()
  write() {
    return {};
  }
}

@Controller('admin/odd')
class OddController {
  @Get(':id')
  @Permission('tenant:viewer')
  read() {
    return {};
  }
}

async function start(controller: new () => object) {
  @Module({ imports: [DiscoveryModule], controllers: [controller], providers: [RouteRules] })
  class AppModule {}
  const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false, abortOnError: false });
  await app.init();
  return app;
}

describe('deny by default', () => {
  it('lists every route with its rule', async () => {
    const app = await start(GoodController);
    expect(app.get(RouteRules).list()).toEqual([
      { method: 'GET', path: '/admin/good/:tenantId', handler: 'GoodController.read', permission: { rule: 'tenant:viewer' }, csv: false },
    ]);
    await app.close();
  });

  it('refuses to start with a route that names no rule', async () => {
    await expect(start(BadController)).rejects.toThrow('BadController.write has no @Permission');
  });

  it('refuses to start with a rule about a parameter that the route lacks', async () => {
    await expect(start(OddController)).rejects.toThrow(':tenantId');
  });
});
