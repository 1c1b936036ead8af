import { freePort, startProcess, stopProcess } from '@omg/dev';
import { addCleanup, temporaryFolder, waitFor } from '@omg/testkit';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** An answer of OpenAI's chat API as documented, usage included. */
const ANSWER =
  '{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4.1-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I assist you today?","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default"}';

export interface Nginx {
  url: string;
  /** The worker: the process that does the work. */
  pid: number;
}

function configuration(folder: string, server: string): string {
  return `master_process off; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log warn;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; client_body_buffer_size 64k;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  ${server}
}`;
}

async function start(core: number, makeServer: (port: number) => string): Promise<Nginx> {
  const port = await freePort();
  const folder = temporaryFolder();
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration(folder, makeServer(port)));
  const started = await startProcess('taskset', ['-c', String(core), 'nginx', '-p', folder, '-c', file], {});
  addCleanup(() => stopProcess(started.identity, 'SIGTERM', 2000).then(() => undefined));
  const url = `http://127.0.0.1:${port}`;
  await waitFor(async () => (await fetch(`${url}/v1/chat/completions`, { method: 'POST', body: '{}' })).ok, { what: 'nginx' });
  return { url, pid: started.identity.pid };
}

/** A provider that answers at once with a fixed chat completion. */
export function startStaticUpstream(core: number): Promise<Nginx> {
  return start(core, (port) => `server { listen 127.0.0.1:${port}; location / { default_type application/json; return 200 '${ANSWER}'; } }`);
}

/** The peer: nginx as nothing but a reverse proxy. */
export function startPlainProxy(core: number, upstream: string): Promise<Nginx> {
  const host = upstream.replace('http://', '');
  return start(
    core,
    (port) =>
      `upstream provider { server ${host}; keepalive 64; } server { listen 127.0.0.1:${port}; location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
  );
}
