import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { APPS, DEMO, type App } from './apps.ts';
import { answersOk, startApp, waitForApp } from './app-process.ts';
import { migrateDatabase } from './database-commands.ts';
import { KeepAlive, type Running } from './keep-alive.ts';
import { OMG_FOLDER, ROOT } from './paths.ts';
import { preferPort } from './ports.ts';
import { identify, processesOfRun, RUN_ID_VARIABLE, stopProcess, type StartedProcess } from './processes.ts';
import { acquireServices, type AcquiredServices } from './services/acquire.ts';
import type { RunningService } from './services/running-service.ts';
import { claimState, removeState, writeState, type StackState } from './state.ts';
import { CommandError, say } from './terminal.ts';

const READY_TIMEOUT_MS = 180_000;
/** Longer than the services' own drain deadline. */
const APP_STOP_GRACE_MS = 20_000;

/** The configuration of a running stack: the caller's own file, else router.yaml at the root, else the demo's. */
export function configFile(): string {
  const named = process.env['ROUTER_CONFIG_FILE'];
  if (named !== undefined && named !== '') return named;
  const own = join(ROOT, 'router.yaml');
  return existsSync(own) ? own : join(ROOT, 'infra', 'dev', 'demo.router.yaml');
}

/** What every service of a stack finds in its environment, whoever starts it. */
export function serviceEnvironment(urls: AcquiredServices['urls']): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_ENV: 'production',
    ROUTER_CONFIG_FILE: configFile(),
    ROUTER_DATABASE_URL: urls.postgres,
    ROUTER_DB_URL: urls.postgres,
    ROUTER_REDIS_URL: urls.redis,
    ROUTER_NATS_URL: urls.nats,
    ROUTER_METERING_SPOOL_DIRECTORY: join(OMG_FOLDER, 'data', 'spool'),
  };
}

/** Everything that `./omg up` runs. The state file always tells what is running, so that `down` works whatever happens here. */
export class Stack {
  private readonly state: StackState;
  /** The state file is this run's. */
  private hasState = false;
  private services: AcquiredServices | undefined;
  private readonly runningApps = new Map<string, Running>();
  private readonly keptApps: KeepAlive<Running>[] = [];
  private readonly keptServices: KeepAlive<RunningService>[] = [];
  private readonly ports = new Map<string, number>();

  constructor(runId: string) {
    this.state = { runId, supervisor: identify(process.pid)!, ready: false, processes: [], containers: [], env: {} };
  }

  get env(): Readonly<Record<string, string>> {
    return this.state.env;
  }

  async start(): Promise<void> {
    if (!claimState(this.state)) throw new CommandError('another ./omg up is starting right now');
    this.hasState = true;
    await this.startServices();
    await migrateDatabase(this.services!.urls.postgres);
    await this.choosePorts();
    writeState(this.state);
    await Promise.all(APPS.map((app) => this.startOne(app)));
    await this.waitUntilUsable();
    this.state.ready = true;
    writeState(this.state);
  }

  /** Ends everything in the opposite order of the start; only what this stack started. */
  async stop(): Promise<void> {
    for (const kept of this.keptApps) kept.release();
    await Promise.all([...this.runningApps.values()].map((running) => stopProcess(running.identity, 'SIGTERM', APP_STOP_GRACE_MS)));
    const services = this.keptServices.splice(0).map((kept) => kept.release());
    await Promise.all(services.map((service) => service.stop()));
    // What was only just starting when the stop came.
    for (const identity of processesOfRun(this.state.runId)) await stopProcess(identity, 'SIGTERM', APP_STOP_GRACE_MS);
    if (this.hasState) removeState(this.state.runId);
  }

  private remember(name: string, running: Running): void {
    const others = this.state.processes.filter((entry) => entry.name !== name);
    this.state.processes = [...others, { name, identity: running.identity }];
    writeState(this.state);
  }

  private async startServices(): Promise<void> {
    const mark = { [RUN_ID_VARIABLE]: this.state.runId };
    const services = await acquireServices({ folder: join(OMG_FOLDER, 'data'), durable: true, env: mark });
    this.services = services;
    this.state.containers = services.containers;
    for (const service of services.started) {
      this.remember(service.name, service);
      this.keptServices.push(new KeepAlive(service.name, service, () => this.restartService(service.name)));
    }
  }

  private async restartService(name: RunningService['name']): Promise<RunningService> {
    const again = await this.services!.restart(name);
    this.remember(name, again);
    return again;
  }

  private async choosePorts(): Promise<void> {
    for (const app of APPS) {
      const port = await preferPort(app.defaultPort);
      if (port !== app.defaultPort) say(`port ${app.defaultPort} is taken: ${app.name} listens on ${port}`);
      this.ports.set(app.name, port);
      this.state.env[`${app.prefix}_URL`] = this.urlOf(app.name);
    }
    const { urls } = this.services!;
    Object.assign(this.state.env, {
      ROUTER_DB_URL: urls.postgres,
      ROUTER_REDIS_URL: urls.redis,
      ROUTER_NATS_URL: urls.nats,
      DEMO_API_KEY: DEMO.apiKey,
      DEMO_ADMIN_EMAIL: DEMO.adminEmail,
      DEMO_ADMIN_PASSWORD: DEMO.adminPassword,
    });
  }

  private urlOf(app: string): string {
    return `http://127.0.0.1:${this.ports.get(app)}`;
  }

  private async launch(app: App): Promise<StartedProcess> {
    const started = await startApp(app.name, {
      ...serviceEnvironment(this.services!.urls),
      [RUN_ID_VARIABLE]: this.state.runId,
      PORT: String(this.ports.get(app.name)),
      DEMO_PROVIDER_URL: `${this.urlOf('demo-provider')}/v1`,
      DEMO_PROVIDER_API_KEY: DEMO.providerKey,
    });
    this.runningApps.set(app.name, started);
    this.remember(app.name, started);
    return started;
  }

  private async startOne(app: App): Promise<void> {
    const first = await this.launch(app);
    const ready = async (): Promise<boolean> => (await answersOk(`${this.urlOf(app.name)}/readyz`)) !== undefined;
    await waitForApp(app.name, first, ready, READY_TIMEOUT_MS);
    this.keptApps.push(new KeepAlive<Running>(app.name, first, () => this.launch(app)));
  }

  /** Ready is not enough to print a curl: the demo key and its model must have reached the edge. */
  private async waitUntilUsable(): Promise<void> {
    if (!configFile().endsWith('demo.router.yaml')) return;
    const edge = this.runningApps.get('edge-gateway')!;
    const headers = { authorization: `Bearer ${DEMO.apiKey}` };
    const usable = async (): Promise<boolean> => (await answersOk(`${this.urlOf('edge-gateway')}/v1/models`, headers))?.includes(`"${DEMO.model}"`) ?? false;
    await waitForApp('edge-gateway', edge, usable, READY_TIMEOUT_MS);
  }
}
