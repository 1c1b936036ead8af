import { createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { askPort, freePort, portIsFree, preferPort } from './ports.ts';

describe('ports', () => {
  it('a taken port is seen as taken and replaced by a free one', async () => {
    const server = createServer((socket) => socket.end('hello'));
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    expect(await portIsFree(port)).toBe(false);
    expect(await preferPort(port)).not.toBe(port);
    expect(await askPort(port, '', 60_000)).toBe('hello');
    await new Promise((resolve) => server.close(resolve));
    expect(await preferPort(port)).toBe(port);
    expect(await askPort(port, '', 60_000)).toBeUndefined();
  });

  it('that are free are named once each, also to those who ask at the same time, and are none that a connection could be given', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    expect(new Set(ports).size).toBe(50);
    expect(Math.max(...ports)).toBeLessThan(32_768);
    expect(await portIsFree(ports[0]!)).toBe(true);
  });
});
