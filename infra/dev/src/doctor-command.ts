import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { APPS } from './apps.ts';
import { ROOT } from './paths.ts';
import { portIsFree } from './ports.ts';
import { run } from './run.ts';
import { howToGet, NEEDS, sourceOf, type Source } from './services/acquire.ts';
import { runningStack } from './state.ts';

interface Finding {
  ok: boolean;
  text: string;
}

const SOURCES: Record<Source['kind'], string> = {
  environment: 'from the environment',
  binaries: "a private instance of this machine's binaries",
  docker: 'a private container',
  apt: 'will be installed with apt-get',
  missing: '',
};

function serviceFindings(): Finding[] {
  return NEEDS.map((need) => {
    const source = sourceOf(need);
    return source.kind === 'missing' ? { ok: false, text: howToGet(need) } : { ok: true, text: `${need.name}: ${SOURCES[source.kind]}` };
  });
}

async function portFindings(): Promise<Finding[]> {
  if (runningStack() !== undefined) return [{ ok: true, text: 'a stack is running (./omg env)' }];
  return Promise.all(
    APPS.map(async (app) => {
      const free = await portIsFree(app.defaultPort);
      return { ok: true, text: `port ${app.defaultPort} (${app.name}): ${free ? 'free' : 'taken, another one will be chosen'}` };
    }),
  );
}

/** `./omg doctor`: what this machine has, what is missing and how to get it. */
export async function doctorCommand(): Promise<number> {
  const pnpm = await run('pnpm', ['--version']);
  const findings: Finding[] = [
    { ok: true, text: `Node ${process.version} on ${process.platform} ${process.arch}` },
    pnpm.exitCode === 0 ? { ok: true, text: `pnpm ${pnpm.output.trim()}` } : { ok: false, text: 'pnpm does not run: delete .omg/tools and try again' },
    { ok: true, text: existsSync(join(ROOT, 'node_modules')) ? 'dependencies are installed' : 'dependencies will be installed from the npm registry' },
    ...serviceFindings(),
    ...(await portFindings()),
  ];
  for (const finding of findings) process.stdout.write(`${finding.ok ? 'ok     ' : 'missing'}  ${finding.text}\n`);
  return findings.every((finding) => finding.ok) ? 0 : 1;
}
