import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { findBinary } from './binaries.ts';
import { run } from '../run.ts';
import { CommandError, say } from '../terminal.ts';

const POLICY_FILE = '/usr/sbin/policy-rc.d';

/**
 * Debian's packages start their service after installation. 101 ("forbidden by policy") prevents that: only private instances
 * run here, the system's own are never touched. A policy that is already there stays as it is.
 */
async function withoutAutostart<T>(work: () => Promise<T>): Promise<T> {
  const ours = !existsSync(POLICY_FILE);
  if (ours) writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return await work();
  } finally {
    if (ours) rmSync(POLICY_FILE, { force: true });
  }
}

export function canAptInstall(): boolean {
  return process.getuid?.() === 0 && findBinary('apt-get') !== undefined;
}

export async function aptInstall(packages: readonly string[]): Promise<void> {
  say(`installing ${packages.join(', ')} with apt-get`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await withoutAutostart(async () => {
    await run('apt-get', ['update', '-qq'], { env });
    const result = await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
    if (result.exitCode !== 0) throw new CommandError(`apt-get could not install ${packages.join(', ')}:\n${result.output.slice(-3000)}`);
  });
}
