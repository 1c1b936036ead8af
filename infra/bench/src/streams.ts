import { cleanUp, startFakeUpstream, startStack, TEST_KEY, waitFor } from '@omg/testkit';
import { connect, type Socket } from 'node:net';
import { residentBytes } from './processes.ts';
import { usedMemoryBytes } from './redis-server.ts';
import { publish } from './report.ts';

/** What open streams keep in memory: at the edge, and in Redis for their running attempts. No timing, so the machine need not be quiet. */
const STEPS = [500, 1500, 2500];
const BODY = JSON.stringify({ model: 'test-chat', stream: true, max_tokens: 64, messages: [{ role: 'user', content: 'Tell me a long story.' }] });
const CHUNK = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { role: 'assistant', content: 'Once' }, finish_reason: null }] })}\n\n`;

const kib = (bytes: number): number => Math.round(bytes / 1024);

function openStream(url: URL): Socket {
  const socket = connect({ host: url.hostname, port: Number(url.port) });
  socket.resume();
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${TEST_KEY}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`,
  );
  return socket;
}

async function main(): Promise<void> {
  const upstream = await startFakeUpstream(async (exchange) => {
    await exchange.startEventStream();
    await exchange.chunk(CHUNK);
  });
  const stack = await startStack({ upstreamUrl: `${upstream.origin}/v1`, ownServers: ['postgres', 'redis'], env: { ROUTER_OBSERVABILITY_LOG_LEVEL: 'warn' } });
  const url = new URL(stack.edge.url);
  const sockets: Socket[] = [];
  const measure = async (streams: number) => {
    while (sockets.length < streams) sockets.push(openStream(url));
    const open = () => upstream.exchanges.filter((exchange) => exchange.request.path.includes('chat') && !exchange.aborted).length;
    await waitFor(() => open() >= streams, { timeoutMs: 60_000, intervalMs: 100, what: `${streams} open streams` });
    // What was only made on the way is collected meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    return { streams, edge: residentBytes(stack.edge.pid), redis: await usedMemoryBytes(stack.redisUrl) };
  };
  const idle = { streams: 0, edge: residentBytes(stack.edge.pid), redis: await usedMemoryBytes(stack.redisUrl) };
  const points = [idle];
  for (const streams of STEPS) points.push(await measure(streams));
  for (const socket of sockets) socket.destroy();
  const [first, last] = [points[1]!, points.at(-1)!];
  const per = (part: 'edge' | 'redis') => (last[part] - first[part]) / (last.streams - first.streams);
  publish({
    name: 'streams',
    title: 'Memory of open streams',
    method: [
      'Chat streams that have sent one chunk and wait for the next, through one edge process: its resident memory and the memory in use of Redis,',
      'five seconds after the last one was opened. The difference per stream is taken between the first and the last step, so that what the process',
      'needs once does not count. Answers that are passed on are not kept, so longer answers need no more.',
    ],
    columns: ['open streams', 'edge, resident', 'Redis, in use'],
    rows: points.map(({ streams, edge, redis }) => [streams, `${kib(edge)} KiB`, `${kib(redis)} KiB`]),
    findings: [
      `Per open stream: ${kib(per('edge'))} KiB at the edge, ${(per('redis') / 1024).toFixed(1)} KiB in Redis.`,
      `An idle edge: ${kib(idle.edge)} KiB.`,
    ],
  });
}

try {
  await main();
} finally {
  await cleanUp();
}
