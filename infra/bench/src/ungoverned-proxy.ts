import { createServer } from 'node:http';
import { Agent } from 'undici';

/**
 * The ungoverned path: the least that a gateway in this runtime does. It reads and parses the request, checks that it names a model, sends
 * it to the provider over pooled connections, parses the answer and passes it on. No key, limit, budget or usage.
 *
 * `node ungoverned-proxy.ts <port> <provider's URL>`
 */
const [port, provider] = process.argv.slice(2);
const agent = new Agent({ connections: 64, pipelining: 1 });

createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    const { model } = JSON.parse(body.toString()) as { model?: unknown };
    if (typeof model !== 'string') return void response.writeHead(400).end();
    agent
      .request({ origin: provider!, path: '/v1/chat/completions', method: 'POST', headers: { 'content-type': 'application/json' }, body })
      .then(async (answer) => {
        const text = await answer.body.text();
        const { usage } = JSON.parse(text) as { usage?: unknown };
        response.writeHead(answer.statusCode, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), 'x-usage': usage ? '1' : '0' });
        response.end(text);
      })
      .catch(() => response.writeHead(502).end());
  });
}).listen(Number(port), '127.0.0.1');
