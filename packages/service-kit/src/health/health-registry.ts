import { withDeadline } from '../lifecycle/deadline.js';
import { errorClass, type ErrorClass } from './error-class.js';

export interface CheckResult {
  status: 'ok' | 'error';
  latency_ms: number;
  error?: ErrorClass;
}

export interface HealthReport {
  status: 'ok' | 'degraded' | 'starting' | 'draining';
  checks: Record<string, CheckResult>;
}

interface Check {
  name: string;
  run: () => Promise<unknown>;
  critical: boolean;
}

const CHECK_MAX_MS = 2000;

/**
 * Whether the service can do its work. Checks run in parallel, each for at most two seconds, and callers that come at the
 * same time share one run, so that probes cannot load a sick dependency.
 */
export class HealthRegistry {
  private readonly checks: Check[] = [];
  private phase: 'starting' | 'running' | 'draining' = 'starting';
  private running: Promise<Record<string, CheckResult>> | undefined;

  constructor(private readonly deadlineMs = CHECK_MAX_MS) {}

  /** `critical: false`: shown, but the service stays ready without it. */
  add(name: string, run: () => Promise<unknown>, options: { critical?: boolean } = {}): void {
    this.checks.push({ name, run, critical: options.critical ?? true });
  }

  setPhase(phase: 'starting' | 'running' | 'draining'): void {
    this.phase = phase;
  }

  get isDraining(): boolean {
    return this.phase === 'draining';
  }

  async report(): Promise<HealthReport> {
    const checks = await this.runChecks();
    if (this.phase !== 'running') return { status: this.phase, checks };
    const broken = this.checks.some((check) => check.critical && checks[check.name]?.status === 'error');
    return { status: broken ? 'degraded' : 'ok', checks };
  }

  private runChecks(): Promise<Record<string, CheckResult>> {
    this.running ??= this.runOnce().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async runOnce(): Promise<Record<string, CheckResult>> {
    const results = await Promise.all(this.checks.map(async (check) => [check.name, await this.runCheck(check)] as const));
    return Object.fromEntries(results);
  }

  private async runCheck(check: Check): Promise<CheckResult> {
    const started = performance.now();
    const latency = () => Math.round((performance.now() - started) * 10) / 10;
    try {
      await withDeadline(Promise.resolve().then(check.run), this.deadlineMs);
      return { status: 'ok', latency_ms: latency() };
    } catch (error) {
      return { status: 'error', latency_ms: latency(), error: errorClass(error) };
    }
  }
}
