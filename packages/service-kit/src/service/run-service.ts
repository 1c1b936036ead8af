import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { DynamicModule, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { fastify as createFastify, type FastifyInstance, type FastifyServerOptions } from 'fastify';
import type { ConnectionObserver } from '@omg/storage';
import { ConfigReload, type ApplyChange, type ReloadOutcome } from '../config/config-reload.js';
import { ConfigError, loadConfig, type LoadedConfig } from '../config/load-config.js';
import type { ConfigOf, SectionName } from '../config/schema.js';
import { HealthRegistry } from '../health/health-registry.js';
import { Lifecycle } from '../lifecycle/lifecycle.js';
import { createLogger, endLog, type Logger } from '../logging/logger.js';
import { nestLogger } from '../logging/nest-logger.js';
import { httpMetrics, Metrics } from '../metrics/metrics.js';
import { createTracing, type Tracing } from '../tracing/tracing.js';
import { VERSION } from '../version.js';
import { CLOSE_MAX_MS, closeService } from './close-service.js';
import { ConnectionWatch } from './connection-watch.js';
import { parseListenAddress } from './listen-address.js';
import { observeConnections } from './observe-connections.js';
import { listenForScrapes, registerProbeRoutes } from './probe-routes.js';
import { installProcessPolicy, Shutdown } from './shutdown.js';

/** What a service gets to build itself from. */
export interface ServiceContext<S extends SectionName> {
  name: string;
  version: string;
  config: ConfigOf<S>;
  logger: Logger;
  /** Register a closer right after each opening. */
  lifecycle: Lifecycle;
  health: HealthRegistry;
  metrics: Metrics;
  shutdown: Shutdown;
  tracing: Tracing;
  /** For settings that may change while the service runs; `config` changes in place before this is called. */
  onReload(name: string, apply: ApplyChange): void;
  /** For the connection factories of `@omg/storage` and `@omg/database`. */
  connections: ConnectionObserver;
}

export interface ServiceParts {
  /** The Nest module that wires the app. */
  module: Type<unknown> | DynamicModule;
  /** Hot routes, on the Fastify instance itself; runs before Nest adds its own. */
  routes?: (fastify: FastifyInstance) => void | Promise<void>;
  /** Filters, pipes, documents: runs before Nest initialises. */
  configure?: (app: NestFastifyApplication) => void | Promise<void>;
}

export interface ServiceOptions<S extends SectionName> {
  name: string;
  sections: readonly S[];
  exceptSecrets?: readonly string[];
  /** The service's own address; `PORT` replaces its port. */
  listenAddr: (config: ConfigOf<S>) => string;
  healthz?: 'liveness' | 'checks';
  /** False: the app observes `http_requests_total` itself. */
  observeHttp?: boolean;
  /** Whether Nest parses bodies; false leaves the parsers to the app. */
  bodyParser?: boolean;
  fastify?: (config: ConfigOf<S>) => FastifyServerOptions;
  /** How long running work may go on after SIGTERM. Default: `server.graceful_shutdown_delay` where loaded, else 5 s. */
  drainMs?: (config: ConfigOf<S>) => number;
  /** Opens what the service needs. Must not wait for a dependency to be there: readiness tells whether it is. */
  start: (context: ServiceContext<S>) => ServiceParts | Promise<ServiceParts>;
}

export interface RunningService {
  port: number;
  close(): Promise<void>;
  /** Reads the configuration again; undefined: it has mistakes, and nothing changed. */
  reload(): Promise<ReloadOutcome | undefined>;
}

const DRAIN_DEFAULT_MS = 5000;

/** Runs a service until SIGTERM or SIGINT: configuration, log, health, metrics, listener, drain. Exits the process at the end. */
export async function runService<const S extends SectionName>(options: ServiceOptions<S>): Promise<void> {
  let logger = createLogger({ service: options.name });
  try {
    const load = () => loadConfig({ sections: options.sections, exceptSecrets: options.exceptSecrets, argv: process.argv.slice(2) });
    const loaded = load();
    logger = createLogger({ service: options.name, level: loaded.config.observability.logLevel });
    for (const warning of loaded.warnings) logger.warn({ warning }, 'configuration');
    const service = await startService(options, { config: loaded.config, port: loaded.port, logger, load });
    installProcessPolicy({ logger, close: () => service.close(), reload: () => service.reload() });
  } catch (error) {
    // The problems of a configuration are for people: one line each, no stack.
    if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`);
    logger.fatal({ err: error }, 'could not start');
    process.exitCode = 1;
    // Half-open connections must not keep a service alive that never started.
    void endLog(logger).finally(() => process.exit(1));
  }
}

export interface StartInputs<S extends SectionName> {
  config: ConfigOf<S>;
  port?: number | undefined;
  logger: Logger;
  /** Where a reload reads from; without it there is none. */
  load?: () => LoadedConfig<S>;
}

/** `runService` without the process: for tests, and for what runs several services at once. */
export async function startService<S extends SectionName>(options: ServiceOptions<S>, inputs: StartInputs<S>): Promise<RunningService> {
  const { config, logger } = inputs;
  const lifecycle = new Lifecycle(logger);
  const health = new HealthRegistry();
  const version = VERSION;
  const metrics = new Metrics({ service: options.name, version });
  const shutdown = new Shutdown();
  const tracing = await openTracing(options.name, config);
  lifecycle.onClose('tracing', () => tracing.close());
  const reload = new ConfigReload(config, inputs.load ?? (() => ({ config, warnings: [], filePath: undefined, port: undefined })), logger);
  reload.onReload('log and traces', () => {
    logger.level = config.observability.logLevel;
    tracing.setSampleRatio(config.observability.traceSampleRatio);
  });
  const context: ServiceContext<S> = {
    name: options.name,
    version,
    config,
    logger,
    lifecycle,
    health,
    metrics,
    shutdown,
    tracing,
    onReload: (name, apply) => reload.onReload(name, apply),
    connections: observeConnections(logger, metrics),
  };
  try {
    const parts = await options.start(context);
    const app = await createApp(options, context, parts);
    const address = parseListenAddress(options.listenAddr(config));
    await app.listen({ host: address.host, port: inputs.port ?? address.port });
    const { port } = app.getHttpServer().address() as AddressInfo;
    health.setPhase('running');
    logger.info({ port }, 'listening');
    const connections = new ConnectionWatch(app.getHttpServer());
    const close = () => closeService({ app, connections, health, lifecycle, logger, shutdown, ...closingTimes(options, config) });
    return { port, close, reload: () => reload.reload() };
  } catch (error) {
    await lifecycle.close(CLOSE_MAX_MS);
    throw error;
  }
}

function openTracing<S extends SectionName>(service: string, config: ConfigOf<S>): Promise<Tracing> {
  const { enableOtlp, otlpEndpoint, traceSampleRatio } = config.observability as ConfigOf<'observability'>['observability'];
  return createTracing({ service, version: VERSION, enabled: enableOtlp, endpoint: otlpEndpoint, sampleRatio: traceSampleRatio });
}

async function createApp<S extends SectionName>(options: ServiceOptions<S>, context: ServiceContext<S>, parts: ServiceParts): Promise<NestFastifyApplication> {
  const { config, logger, metrics, health, lifecycle } = context;
  const instance = createFastify({
    logger: false,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    requestIdHeader: false,
    ...options.fastify?.(config),
  });
  const { enableMetrics, metricsListenAddr } = config.observability as { enableMetrics: boolean; metricsListenAddr: string };
  registerProbeRoutes(instance, { health, healthz: options.healthz ?? 'liveness', metrics: enableMetrics && metricsListenAddr === '' ? metrics : undefined });
  if (enableMetrics && metricsListenAddr !== '') {
    const listener = await listenForScrapes(metrics, parseListenAddress(metricsListenAddr));
    lifecycle.onClose('metrics listener', listener.close);
    logger.info({ metricsPort: listener.port }, 'metrics listening');
  }
  if (options.observeHttp ?? true) observeHttp(instance, metrics);
  await parts.routes?.(instance);
  const app = await NestFactory.create<NestFastifyApplication>(parts.module, new FastifyAdapter(instance as never), {
    logger: nestLogger(logger),
    abortOnError: false,
    bodyParser: options.bodyParser ?? true,
  });
  await parts.configure?.(app);
  return app;
}

function observeHttp(instance: FastifyInstance, metrics: Metrics): void {
  const http = httpMetrics(metrics);
  instance.addHook('onResponse', (request, reply, done) => {
    http.observe(request.method, request.routeOptions.url ?? 'unmatched', reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
}

function closingTimes<S extends SectionName>(options: ServiceOptions<S>, config: ConfigOf<S>): { noticeMs: number; drainMs: number } {
  const { server } = config as { server?: { gracefulShutdownDelayMs: number; shutdownNoticeMs: number } };
  return { noticeMs: server?.shutdownNoticeMs ?? 0, drainMs: options.drainMs?.(config) ?? server?.gracefulShutdownDelayMs ?? DRAIN_DEFAULT_MS };
}
