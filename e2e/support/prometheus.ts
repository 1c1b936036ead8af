import { findBinary, startProcess, stopProcess } from '@omg/dev';
import { addCleanup, freePort, repositoryRoot, temporaryFolder, waitFor } from '@omg/testkit';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * A program of Prometheus's package: the machine's, else unpacked from Debian's package, without installing it, so that no
 * server of the system's is started.
 */
export async function prometheusProgram(name: 'prometheus' | 'promtool'): Promise<string> {
  const installed = findBinary(name);
  if (installed !== undefined) return installed;
  const folder = join(repositoryRoot(), '.omg', 'tools', 'prometheus');
  const unpacked = join(folder, 'usr', 'bin', name);
  if (existsSync(unpacked)) return unpacked;
  if (findBinary('apt-get') === undefined) throw new Error(`${name} is missing: install Prometheus (macOS: brew install prometheus)`);
  const work = mkdtempSync(join(tmpdir(), 'omg-prometheus-'));
  try {
    const download = () => run('apt-get', ['download', 'prometheus'], { cwd: work });
    // A fresh machine has no lists of packages yet.
    await download().catch(() => run('apt-get', ['update', '-qq']).then(download));
    const [file] = readdirSync(work).filter((entry) => entry.endsWith('.deb'));
    await run('dpkg-deb', ['-x', file!, 'unpacked'], { cwd: work });
    mkdirSync(join(repositoryRoot(), '.omg', 'tools'), { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(work, 'unpacked'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return unpacked;
}

export interface Sample {
  metric: Record<string, string>;
  value: number;
}

export interface RunningPrometheus {
  url: string;
  /** An instant query; throws Prometheus's own message when it is not one. */
  query(expression: string): Promise<Sample[]>;
  get(path: string): Promise<any>;
}

/** A real Prometheus that scrapes every two seconds, and has patience with a busy machine. */
export async function startPrometheus(options: { jobs: Readonly<Record<string, string>>; ruleFile: string }): Promise<RunningPrometheus> {
  const folder = temporaryFolder();
  const config = {
    global: { scrape_interval: '2s', evaluation_interval: '2s', scrape_timeout: '2s' },
    rule_files: [options.ruleFile],
    scrape_configs: Object.entries(options.jobs).map(([job, url]) => ({ job_name: job, static_configs: [{ targets: [new URL(url).host] }] })),
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.yaml'), JSON.stringify(config));
  const port = await freePort();
  const args = [`--config.file=${join(folder, 'prometheus.yaml')}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`];
  const server = await startProcess(await prometheusProgram('prometheus'), args, { cwd: folder, stdio: 'ignore' });
  addCleanup(() => stopProcess(server.identity, 'SIGTERM', 5000).then(() => undefined));
  const url = `http://127.0.0.1:${port}`;
  await waitFor(async () => (await fetch(`${url}/-/ready`)).ok, { what: 'Prometheus' });
  const get = async (path: string): Promise<any> => {
    const body = (await (await fetch(`${url}${path}`)).json()) as { status: string; error?: string; data: unknown };
    if (body.status !== 'success') throw new Error(`${path}: ${body.error}`);
    return body.data;
  };
  return {
    url,
    get,
    query: async (expression) => {
      const { result } = await get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
      return (result as { metric: Record<string, string>; value: [number, string] }[]).map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
  };
}
