import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKS, type Check } from './checks.ts';
import { ROOT } from './paths.ts';
import { prepare } from './prepare.ts';
import { processesOfRun, RUN_ID_VARIABLE, stopProcess, waitForExit } from './processes.ts';
import { run } from './run.ts';
import { acquireServices, type AcquiredServices } from './services/acquire.ts';
import { CommandError, say } from './terminal.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export const KINDS = ['unit', 'integration', 'e2e', 'faults', 'real-model', 'soak'] as const;
type Kind = (typeof KINDS)[number];
const DEFAULT_KINDS: readonly Kind[] = ['unit', 'integration', 'e2e'];

/** Whole stacks and crashes need the machine to themselves; the others share it. */
const WORKERS: Record<Kind, number> = { unit: 2, integration: 2, e2e: 1, faults: 1, 'real-model': 1, soak: 1 };

/** More memory than any test file needs; above it a worker is replaced between two files. */
const WORKER_MEMORY_LIMIT = '1GB';

interface Plan {
  kinds: Kind[];
  checks: boolean;
  /** Everything after `--`, for Jest: file patterns, -t, ... */
  jestArguments: string[];
}

export function parseTestArguments(args: readonly string[]): Plan {
  const separator = args.indexOf('--');
  const words = separator < 0 ? args : args.slice(0, separator);
  const jestArguments = separator < 0 ? [] : args.slice(separator + 1);
  const unknown = words.find((word) => word !== 'checks' && !(KINDS as readonly string[]).includes(word));
  if (unknown !== undefined) throw new CommandError(`unknown kind of test "${unknown}"; there are: ${KINDS.join(', ')}, checks`);
  const kinds = KINDS.filter((kind) => words.includes(kind));
  if (words.length === 0) return { kinds: [...DEFAULT_KINDS], checks: jestArguments.length === 0, jestArguments };
  return { kinds, checks: words.includes('checks'), jestArguments };
}

async function runCheck(check: Check): Promise<Counts> {
  const result = await run(check.command, check.args);
  const ok = result.exitCode === 0;
  process.stderr.write(`${ok ? 'PASS' : 'FAIL'} check: ${check.name} (${Math.round(result.durationMs)} ms)\n`);
  if (!ok) process.stderr.write(`${result.output.slice(-6000)}\n`);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

async function runJest(kinds: readonly Kind[], plan: Plan, env: NodeJS.ProcessEnv, folder: string): Promise<Counts> {
  const countsFile = join(folder, `counts-${kinds.join('-')}.json`);
  const args = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'),
    '--selectProjects',
    ...kinds,
    '--reporters=default',
    `--reporters=${join(ROOT, 'infra', 'dev', 'src', 'jest-counts-reporter.js')}`,
    `--maxWorkers=${Math.max(...kinds.map((kind) => WORKERS[kind]))}`,
    `--workerIdleMemoryLimit=${WORKER_MEMORY_LIMIT}`,
    '--passWithNoTests',
    ...plan.jestArguments,
  ];
  const result = await run(process.execPath, args, { env: { ...env, OMG_JEST_COUNTS: countsFile, FORCE_COLOR: '0' }, output: 'inherit' });
  const counts: Counts = existsSync(countsFile) ? (JSON.parse(readFileSync(countsFile, 'utf8')) as Counts) : { passed: 0, failed: 0, skipped: 0 };
  // A run that ended badly without a failed test (no memory, a broken configuration) is a failure all the same.
  if (result.exitCode !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** For what is about to end by itself, on a busy machine. */
const LEAVING_MS_MAX = 60_000;

/** Whatever a test left running is ended and counted: a test that leaks is a test that failed. */
async function endLeftovers(runId: string, leavingMs: number): Promise<Counts> {
  let clean = true;
  for (const identity of processesOfRun(runId)) {
    if (await waitForExit(identity, leavingMs)) continue;
    clean = false;
    say(`a test left process ${identity.pid} running; ending it`);
    await stopProcess(identity, 'SIGTERM', 2_000);
  }
  return { passed: clean ? 1 : 0, failed: clean ? 0 : 1, skipped: 0 };
}

function add(into: Counts, counts: Counts): void {
  into.passed += counts.passed;
  into.failed += counts.failed;
  into.skipped += counts.skipped;
}

/** Jest groups that run one after the other: those with the same number of workers together. */
function groups(kinds: readonly Kind[]): Kind[][] {
  const byWorkers = Map.groupBy(kinds, (kind) => WORKERS[kind]);
  return [...byWorkers.values()];
}

async function runEverything(plan: Plan, runId: string, folder: string, total: Counts, onServices: (services: AcquiredServices) => void): Promise<void> {
  if (plan.checks) for (const check of CHECKS) add(total, await runCheck(check));
  if (plan.kinds.length === 0) return;
  const mark = { [RUN_ID_VARIABLE]: runId };
  const services = await acquireServices({ folder, durable: false, env: {} });
  onServices(services);
  const env = { ...mark, ROUTER_DB_URL: services.urls.postgres, ROUTER_REDIS_URL: services.urls.redis, ROUTER_NATS_URL: services.urls.nats };
  for (const group of groups(plan.kinds)) add(total, await runJest(group, plan, env, folder));
  add(total, await endLeftovers(runId, LEAVING_MS_MAX));
}

/** `./omg test [kind ...] [-- jest arguments]`: its last line is `N passed, N failed`, its exit code says the same. */
export async function testCommand(args: readonly string[]): Promise<number> {
  const plan = parseTestArguments(args);
  const runId = randomUUID();
  const folder = mkdtempSync(join(tmpdir(), 'omg-tests-'));
  // Postgres may have to run as another user, who must be able to walk in.
  chmodSync(folder, 0o711);
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  let services: AcquiredServices | undefined;
  const stopServices = async (): Promise<void> => {
    const started = services?.started.splice(0) ?? [];
    await Promise.all(started.map((service) => service.stop()));
    rmSync(folder, { recursive: true, force: true });
  };
  const interrupted = (): void => {
    void endLeftovers(runId, 0)
      .then(stopServices)
      .finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    await prepare();
    await runEverything(plan, runId, folder, total, (acquired) => (services = acquired));
  } catch (error) {
    total.failed += 1;
    say(error instanceof CommandError ? error.message : String(error instanceof Error ? error.stack : error));
  } finally {
    await stopServices();
  }
  if (total.skipped > 0) say(`${total.skipped} skipped`);
  process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
  return total.failed === 0 ? 0 : 1;
}
