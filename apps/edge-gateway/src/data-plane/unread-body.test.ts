import { afterEach, describe, expect, it } from '@jest/globals';
import { addCleanup, cleanUp, waitFor } from '@omg/testkit';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { discardBody } from './unread-body.js';

const MIB = 1024 * 1024;
const CHUNK = Buffer.concat([Buffer.from(`${MIB.toString(16)}\r\n`), Buffer.alloc(MIB, ' '), Buffer.from('\r\n')]);
/** More than the buffers of both systems hold. */
const CHUNKS = 64;
const HEAD = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
const LAST_HEAD = HEAD.replace('Host', 'Connection: close\r\nHost');

afterEach(cleanUp);

/** A client that has begun a body, at a server that refuses every request at its head and takes bodies of one byte. */
async function refusedClient({ lingerMs, head = HEAD }: { lingerMs?: number; head?: string }) {
  const server = createServer((request, response) => {
    discardBody(request, 1, lingerMs);
    response.writeHead(413, { 'content-length': 0 }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  addCleanup(() => new Promise((resolve) => server.close(() => resolve())));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  addCleanup(async () => void socket.destroy());
  socket.on('error', () => undefined);
  socket.write(head);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  return { socket, sendChunk: () => Promise.race([closed, new Promise((resolve) => socket.write(CHUNK, resolve))]) };
}

describe('a client that was refused in the middle of its body', () => {
  it('reads its answer after it has sent everything, and goes on with its connection', async () => {
    const { socket, sendChunk } = await refusedClient({});
    socket.pause();
    for (let sent = 0; sent < CHUNKS; sent++) await sendChunk();
    socket.write(`0\r\n\r\n${HEAD}0\r\n\r\n`);
    let text = '';
    socket.on('data', (part: Buffer) => (text += part.toString('latin1')));
    socket.resume();
    await waitFor(() => text.match(/HTTP\/1\.1 413 /g)?.length === 2, { what: 'both answers' });
    expect(socket.destroyed).toBe(false);
  });

  it('reads its answer after it has sent everything also when its connection ends with it', async () => {
    const { socket, sendChunk } = await refusedClient({ head: LAST_HEAD });
    socket.pause();
    for (let sent = 0; sent < CHUNKS; sent++) await sendChunk();
    expect(socket.destroyed).toBe(false);
    socket.write('0\r\n\r\n');
    let text = '';
    socket.on('data', (part: Buffer) => (text += part.toString('latin1')));
    socket.resume();
    await waitFor(() => socket.destroyed, { what: 'the end of the connection' });
    expect(text).toMatch(/^HTTP\/1\.1 413 [^]*Connection: close/i);
  });

  it('is not waited for where its connection ends with the answer and it sends nothing more', async () => {
    const { socket } = await refusedClient({ head: LAST_HEAD });
    socket.resume();
    await waitFor(() => socket.destroyed, { what: 'the end of the connection' });
  });

  it('is cut off when its body is too long and its time is up', async () => {
    const { socket, sendChunk } = await refusedClient({ lingerMs: 0 });
    for (let sent = 0; sent < CHUNKS && !socket.destroyed; sent++) await sendChunk();
    await waitFor(() => socket.destroyed, { what: 'the cut' });
  });
});
