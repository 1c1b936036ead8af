import { freePort, startProcess, stopProcess } from '@omg/dev';
import { addCleanup, waitFor } from '@omg/testkit';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where and how a gateway is called. */
export interface Peer {
  name: string;
  url: string;
  /** The process that does the work. */
  pid: number;
  headers: Record<string, string>;
}

// Exact versions, so that a repeated run measures the same programs.
const PORTKEY = '1.15.2';
const LITELLM = '1.106.2';
const FOLDER = join(import.meta.dirname, '..', '..', '..', '.omg', 'peers');
const START_TIMEOUT_MS = 120_000;

/** Installs into .omg/peers, once per version; install scripts stay off. */
function installed(name: string, install: (folder: string) => void): string {
  const folder = join(FOLDER, name);
  const done = join(folder, '.installed');
  if (existsSync(done)) return folder;
  mkdirSync(folder, { recursive: true });
  process.stderr.write(`installing ${name}\n`);
  install(folder);
  writeFileSync(done, '');
  return folder;
}

async function started(peer: Omit<Peer, 'pid'>, command: string, args: string[], env: Record<string, string>, cwd: string): Promise<Peer> {
  const child = await startProcess(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'ignore' });
  addCleanup(() => stopProcess(child.identity, 'SIGTERM', 5000).then(() => undefined));
  const body = JSON.stringify({ model: 'test-chat', messages: [{ role: 'user', content: 'Hello' }] });
  const headers = { 'content-type': 'application/json', ...peer.headers };
  await waitFor(async () => (await fetch(`${peer.url}/v1/chat/completions`, { method: 'POST', headers, body })).ok, {
    what: peer.name,
    timeoutMs: START_TIMEOUT_MS,
    intervalMs: 250,
  });
  return { ...peer, pid: child.identity.pid };
}

/** Portkey's open gateway on Node. It is told the provider's address by header and allows private ones by name. */
export async function startPortkey(upstreamUrl: string): Promise<Peer> {
  const folder = installed(`portkey-${PORTKEY}`, (to) =>
    execFileSync('npm', ['install', '--prefix', to, '--ignore-scripts', '--no-audit', '--no-fund', `@portkey-ai/gateway@${PORTKEY}`], { stdio: 'ignore' }),
  );
  const port = await freePort();
  return started(
    {
      name: `Portkey gateway ${PORTKEY}`,
      url: `http://127.0.0.1:${port}`,
      headers: { authorization: 'Bearer none', 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${upstreamUrl}/v1` },
    },
    process.execPath,
    [join(folder, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js'), `--port=${port}`, '--headless'],
    { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost' },
    folder,
  );
}

/** LiteLLM's proxy with one worker and its master key. Needs Python 3 with venv. */
export async function startLiteLlm(upstreamUrl: string): Promise<Peer> {
  const folder = installed(`litellm-${LITELLM}`, (to) => {
    execFileSync('python3', ['-m', 'venv', to], { stdio: 'ignore' });
    execFileSync(join(to, 'bin', 'pip'), ['install', '--quiet', `litellm[proxy]==${LITELLM}`], { stdio: 'ignore' });
  });
  const port = await freePort();
  const file = join(folder, 'config.yaml');
  writeFileSync(
    file,
    [
      'model_list:',
      '  - model_name: test-chat',
      `    litellm_params: { model: openai/test-chat, api_base: "${upstreamUrl}/v1", api_key: none }`,
      'general_settings: { master_key: sk-bench }',
      'litellm_settings: { telemetry: false, request_timeout: 60 }',
    ].join('\n'),
  );
  return started(
    { name: `LiteLLM proxy ${LITELLM}`, url: `http://127.0.0.1:${port}`, headers: { authorization: 'Bearer sk-bench' } },
    join(folder, 'bin', 'litellm'),
    ['--config', file, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1', '--telemetry', 'False'],
    // Its price table would be fetched from the internet at every start.
    { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR' },
    folder,
  );
}
