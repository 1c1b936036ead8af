import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { writeCapacityPage } from './capacity-page.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

interface Section {
  title: string;
  /** What was measured and how, in sentences. */
  method: string[];
  columns: string[];
  rows: (string | number)[][];
}

export interface Report extends Section {
  name: string;
  /** Further tables of the same run. */
  more?: Section[];
  /** What the figures say, with ratios of this run only. */
  findings: string[];
}

function version(command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
      .split('\n')[0]!
      .trim();
  } catch (error) {
    // nginx and wrk tell their version on stderr, wrk with an exit code.
    const { stderr, stdout } = error as { stderr?: string; stdout?: string };
    return ((stdout || stderr) ?? '').split('\n')[0]!.trim() || 'unknown';
  }
}

export function environment(): Record<string, string> {
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} x ${cpu?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    nginx: version('sh', ['-c', 'nginx -v 2>&1']),
    redis: version('redis-server', ['--version']),
    nats: version('nats-server', ['--version']),
    wrk: version('sh', ['-c', 'wrk -v 2>&1 | head -1']),
    commit: version('git', ['-C', ROOT, 'rev-parse', '--short', 'HEAD']),
  };
}

function table(columns: readonly string[], rows: readonly (string | number)[][]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Prints the report and writes it as docs/benchmarks/<name>.md and .json. */
export function publish(report: Report): void {
  const where = environment();
  const text = [
    `# ${report.title}`,
    '',
    `Command: \`./omg bench ${report.name}\``,
    '',
    table(['', ''], Object.entries(where)),
    '',
    ...report.method,
    '',
    table(report.columns, report.rows),
    '',
    ...(report.more ?? []).flatMap((section) => [`## ${section.title}`, '', ...section.method, '', table(section.columns, section.rows), '']),
    ...(report.more ? ['## What it says', ''] : []),
    ...report.findings.map((finding) => `- ${finding}`),
    '',
  ].join('\n');
  const folder = join(ROOT, 'docs', 'benchmarks');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${report.name}.md`), text);
  writeFileSync(join(folder, `${report.name}.json`), `${JSON.stringify({ ...report, environment: where }, null, 2)}\n`);
  writeCapacityPage();
  process.stdout.write(`${text}\n`);
}
