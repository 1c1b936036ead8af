import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { HealthRegistry } from '../health/health-registry.js';
import type { Metrics } from '../metrics/metrics.js';

const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

export interface ProbeRouteOptions {
  health: HealthRegistry;
  /** `checks`: `/healthz` lists the dependencies too (always 200). `liveness`: it only says that the process answers. */
  healthz: 'liveness' | 'checks';
  metrics?: Metrics;
}

/** `/healthz` says that the process lives, `/readyz` whether it can work, `/metrics` what it did. */
export function registerProbeRoutes(fastify: FastifyInstance, options: ProbeRouteOptions): void {
  fastify.get('/healthz', async () => {
    if (options.healthz === 'liveness') return { status: 'ok' };
    const { status, checks } = await options.health.report();
    return { status: status === 'ok' ? 'ok' : 'degraded', checks };
  });
  fastify.get('/readyz', async (_request, reply) => {
    const report = await options.health.report();
    return reply.code(report.status === 'ok' ? 200 : 503).send(report);
  });
  const { metrics } = options;
  if (metrics) fastify.get('/metrics', async (_request, reply) => reply.header('content-type', PROMETHEUS_TEXT).send(await metrics.scrape()));
}

/** `/metrics` on a listener of its own, so that the public port does not show it. Resolves with its port and a closer. */
export async function listenForScrapes(metrics: Metrics, address: { host: string; port: number }): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end();
    metrics.scrape().then(
      (text) => response.writeHead(200, { 'content-type': PROMETHEUS_TEXT }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(address.port, address.host, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => (server.close(() => resolve()), server.closeAllConnections())),
  };
}
