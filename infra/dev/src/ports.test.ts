import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { askPort, freePort, portIsFree, preferPort } from './ports.ts';

describe('ports', () => {
  it('a taken port is seen as taken and replaced by a free one', async () => {
    const server = createServer((socket) => socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await portIsFree(port)).toBe(false);
    expect(await preferPort(port)).not.toBe(port);
    expect(await askPort(port, '', 1000)).toBe('hello');
    await new Promise((resolve) => server.close(resolve));
    expect(await preferPort(port)).toBe(port);
    expect(await askPort(port, '', 1000)).toBeUndefined();
    expect(await portIsFree(await freePort())).toBe(true);
  });
});
