import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import { waitFor, within } from '@omg/testkit';
import { once, EventEmitter } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { loadConfig } from '../config/load-config.js';
import { createLogger } from '../logging/logger.js';
import { startService, type RunningService, type ServiceContext } from './run-service.js';

@Controller()
class HelloController {
  @Get('/hello')
  hello() {
    return { hello: 'nest' };
  }
}

@Module({ controllers: [HelloController] })
class HelloModule {}

let running: RunningService | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

function get(agent: Agent, url: string): Promise<{ status: number | undefined; connection: string | undefined }> {
  return new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      response.resume().once('end', () => resolve({ status: response.statusCode, connection: response.headers.connection }));
    })
      .once('error', reject)
      .end();
  });
}

/** `/slow` tells when it has `begun`, and answers when it is told to `end`. */
const slowCalls = new EventEmitter();

const lines: Record<string, unknown>[] = [];
const destination = new Writable({
  write(chunk: Buffer, _encoding, done) {
    lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
    done();
  },
});

async function start(options: { env?: Record<string, string>; drainMs?: number; build?: (context: ServiceContext<'server'>) => void } = {}) {
  const { config } = loadConfig({ sections: ['server'], env: { ROUTER_SERVER_LISTEN_ADDR: '127.0.0.1:0', ...options.env }, cwd: '/nonexistent' });
  const logger = createLogger({ service: 'hello', destination });
  let context!: ServiceContext<'server'>;
  running = await startService(
    {
      name: 'hello',
      sections: ['server'],
      listenAddr: (c) => c.server.listenAddr,
      drainMs: () => options.drainMs ?? 1000,
      start: (c) => {
        context = c;
        options.build?.(c);
        return {
          module: HelloModule,
          routes: (fastify) => {
            fastify.get('/slow', async () => {
              const end = once(slowCalls, 'end');
              slowCalls.emit('begun');
              await end;
              return 'done';
            });
            fastify.get('/stream', async (_request, reply) => {
              reply.hijack();
              reply.raw.write('begun');
              await once(slowCalls, 'end');
              reply.raw.end();
            });
            fastify.get('/hang', (_request, reply) => {
              reply.hijack();
              reply.raw.write('x');
              c.shutdown.deadline.addEventListener('abort', () => reply.raw.end('aborted'));
            });
          },
        };
      },
    },
    { config, logger },
  );
  return { context, url: `http://127.0.0.1:${running.port}` };
}

describe('a running service', () => {
  it('serves Nest controllers, hot routes, liveness and the specified metrics on one free port, and logs the port', async () => {
    const { url } = await start();
    expect(await (await fetch(`${url}/hello`)).json()).toEqual({ hello: 'nest' });
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('open_model_gateway_http_requests_total{method="GET",route="/hello",status="200"} 1');
    const buckets = [...text.matchAll(/^open_model_gateway_http_request_duration_seconds_bucket\{method="GET",route="\/hello",status="200",le="([^"]+)"\}/gm)];
    expect(buckets.map((bucket) => bucket[1])).toEqual(['0.05', '0.1', '0.2', '0.5', '1', '2', '5', '10', '+Inf']);
    expect(text).toContain('open_model_gateway_target_info{service_name="hello"');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect(lines.some((line) => line['msg'] === 'listening' && line['port'] === running!.port)).toBe(true);
  });

  it('tells the truth on /readyz while a dependency fails or hangs, within two seconds and without its text', async () => {
    const { url, context } = await start();
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    context.health.add('postgres', () => Promise.reject(Object.assign(new Error('connect to 10.1.2.3 as root'), { code: 'ECONNREFUSED' })));
    context.health.add('redis', () => new Promise(() => undefined));
    context.health.add('extra', () => Promise.reject(new Error('x')), { critical: false });
    const response = await within(4000, fetch(`${url}/readyz`));
    expect(response.status).toBe(503);
    const body = (await response.json()) as { status: string; checks: Record<string, unknown> };
    expect(body).toMatchObject({
      status: 'degraded',
      checks: { postgres: { status: 'error', error: 'refused' }, redis: { status: 'error', error: 'timeout' } },
    });
    expect(JSON.stringify(body)).not.toContain('10.1.2.3');
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('shows /metrics only on its own listener when one is set', async () => {
    const { url } = await start({ env: { ROUTER_OBSERVABILITY_METRICS_LISTEN_ADDR: '127.0.0.1:0' } });
    expect((await fetch(`${url}/metrics`)).status).toBe(404);
    const port = lines.findLast((line) => line['msg'] === 'metrics listening')!['metricsPort'];
    expect(await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text()).toContain('target_info');
  });

  it('finishes running requests on close, refuses new ones and closes in reverse order of opening', async () => {
    const closed: string[] = [];
    const { url, context } = await start({
      build: (c) => (c.lifecycle.onClose('first', () => closed.push('first')), c.lifecycle.onClose('second', () => closed.push('second'))),
    });
    const begun = once(slowCalls, 'begun');
    const slow = fetch(`${url}/slow`).then((response) => response.text());
    await begun;
    const closing = running!.close();
    expect(context.health.isDraining).toBe(true);
    slowCalls.emit('end');
    await expect(slow).resolves.toBe('done');
    await closing;
    running = undefined;
    expect(closed).toEqual(['second', 'first']);
    await expect(fetch(`${url}/hello`)).rejects.toThrow();
  });

  it('with a notice: fails readiness at once, still answers new connections and kept ones, and tells each client to leave', async () => {
    const { url } = await start({ env: { ROUTER_SERVER_SHUTDOWN_NOTICE: '5s' } });
    const agent = new Agent({ keepAlive: true });
    const first = await get(agent, `${url}/hello`);
    expect(first.connection).toBe('keep-alive');
    const begun = once(slowCalls, 'begun');
    const slow = get(agent, `${url}/slow`);
    await begun;
    const closing = running!.close();
    slowCalls.emit('end');
    expect(await slow).toMatchObject({ status: 200, connection: 'close' });
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    expect(await get(agent, `${url}/hello`)).toMatchObject({ status: 200, connection: 'close' });
    await closing;
    running = undefined;
    await expect(fetch(`${url}/hello`)).rejects.toThrow();
  });

  it('answers the next request on the connection of a stream that ended during the drain, and then closes it', async () => {
    const { url } = await start({ drainMs: 60_000 });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let received = '';
    socket.setEncoding('utf8').on('data', (part: string) => (received += part));
    const closed = once(socket, 'close');
    socket.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
    await waitFor(() => received.includes('begun'), { what: 'the stream' });
    const closing = running!.close();
    await waitFor(
      async () =>
        fetch(`${url}/hello`).then(
          () => false,
          () => true,
        ),
      { what: 'the listener to be closed' },
    );
    slowCalls.emit('end');
    await waitFor(() => received.endsWith('0\r\n\r\n'), { what: 'the end of the stream', intervalMs: 1 });
    received = '';
    socket.write('GET /hello HTTP/1.1\r\nHost: x\r\n\r\n');
    await closed;
    expect(received).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*connection: close\r\n[^]*\{"hello":"nest"\}/i);
    await closing;
    running = undefined;
  });

  it('tells endless work to stop when the drain time is over', async () => {
    const { url } = await start({ drainMs: 100 });
    const response = await fetch(`${url}/hang`);
    const closing = running!.close();
    expect(await response.text()).toBe('xaborted');
    await closing;
    running = undefined;
  });
});
