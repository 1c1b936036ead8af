import { appendFile, mkdtemp, open, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Spool, SpoolError } from './spool.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'omg-spool-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const openSpool = (bytesMax = 1_000_000) => Spool.open({ directory, bytesMax });
const event = (n: number) => JSON.stringify({ n, text: 'käse ✓' });

async function replayed(spool: Spool, batchMax?: number): Promise<{ events: string[]; corrupt: number; batches: number[] }> {
  const events: string[] = [];
  const batches: number[] = [];
  const { corrupt } = await spool.replay(async (batch) => {
    events.push(...batch);
    batches.push(batch.length);
  }, batchMax);
  return { events, corrupt, batches };
}

async function onlyFile(): Promise<string> {
  const [name] = await readdir(directory);
  return join(directory, name!);
}

describe('usage spool', () => {
  it('an append that resolved is found by the next process, in order, and gone after its replay', async () => {
    const first = await openSpool();
    await Promise.all(Array.from({ length: 300 }, (_, n) => first.append(event(n))));
    await first.close();
    const second = await openSpool();
    expect(second.isEmpty).toBe(false);
    expect(await replayed(second, 128)).toEqual({ events: Array.from({ length: 300 }, (_, n) => event(n)), corrupt: 0, batches: [128, 128, 44] });
    expect(second.isEmpty).toBe(true);
    expect(await readdir(directory)).toEqual([]);
    await second.close();
  });

  it('a torn tail and a damaged line cost only themselves', async () => {
    const first = await openSpool();
    for (let n = 0; n < 4; n++) await first.append(event(n));
    await first.close();
    const path = await onlyFile();
    const bytes = await readFile(path);
    bytes[bytes.indexOf('"n":1') + 4] = 0x39;
    await writeFile(path, bytes);
    await truncate(path, bytes.length - 3);
    const second = await openSpool();
    expect(await replayed(second)).toMatchObject({ events: [event(0), event(2)], corrupt: 2 });
  });

  it('garbage without line feeds does not fill the memory or hide what follows', async () => {
    const first = await openSpool();
    await first.append(event(0));
    await first.close();
    await appendFile(await onlyFile(), `${'x'.repeat(300_000)}\n`);
    const second = await openSpool();
    expect(await replayed(second)).toMatchObject({ events: [event(0)], corrupt: 1 });
  });

  it('a failed delivery keeps the events for the next replay', async () => {
    const spool = await openSpool();
    await spool.append(event(0));
    await expect(spool.replay(() => Promise.reject(new Error('still away')))).rejects.toThrow('still away');
    await spool.append(event(1));
    expect((await replayed(spool)).events).toEqual([event(0), event(1)]);
    await spool.close();
  });

  it('appends go on during a replay and are kept for the next one', async () => {
    const spool = await openSpool();
    await spool.append(event(0));
    const seen: string[] = [];
    await spool.replay(async (batch) => {
      seen.push(...batch);
      await spool.append(event(1));
    });
    expect(seen).toEqual([event(0)]);
    expect((await replayed(spool)).events).toEqual([event(1)]);
    await spool.close();
  });

  it('is bounded: beyond it an append is refused, and a replay makes room again', async () => {
    const spool = await openSpool(200);
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => spool.append(event(n))));
    const refused = results.filter((r) => r.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every((r) => r.reason instanceof SpoolError && r.reason.reason === 'full')).toBe(true);
    expect((await readFile(await onlyFile())).length).toBeLessThanOrEqual(200);
    expect((await replayed(spool)).events).toHaveLength(20 - refused.length);
    await spool.append(event(0));
    await spool.close();
  });

  it('a segment that another process takes over while its writer lives loses nothing, whenever that one has read it', async () => {
    const writer = await openSpool();
    await writer.append(event(0));
    const taker = await openSpool();
    await writer.append(event(1));
    const seen = (await replayed(taker)).events;
    await writer.append(event(2));
    seen.push(...(await replayed(await openSpool())).events);
    await writer.append(event(3));
    seen.push(...(await replayed(writer)).events);
    expect([...new Set(seen)].sort()).toEqual([0, 1, 2, 3].map(event));
    expect([writer.isEmpty, await readdir(directory)]).toEqual([true, []]);
    await writer.close();
  });

  it('what a former process left is taken over whatever its host and process id were, also where they are our own', async () => {
    const earlier = await openSpool();
    await earlier.append(event(0));
    await earlier.close();
    const path = await onlyFile();
    // The name as it was while it told host and process; process 1 is everybody's in containers.
    await rename(path, join(directory, `1~${hostname()}~${process.ppid}~aa.open`));
    expect((await replayed(await openSpool())).events).toEqual([event(0)]);
  });

  it('two processes that replay at once deliver everything, and none of them fails or waits for the other', async () => {
    const earlier = await openSpool();
    for (let n = 0; n < 50; n++) await earlier.append(event(n));
    await earlier.close();
    const [a, b] = [await openSpool(), await openSpool()];
    const [ofA, ofB] = await Promise.all([replayed(a, 7), replayed(b, 7)]);
    expect(new Set([...ofA.events, ...ofB.events]).size).toBe(50);
    await Promise.all([replayed(a), replayed(b)]);
    expect([a.isEmpty, b.isEmpty, a.pendingBytes, b.pendingBytes]).toEqual([true, true, 0, 0]);
  });

  it('a full disk is an error for the event that did not fit; what was stored before and after it is whole', async () => {
    const disk = { bytesMax: 3_000 };
    const spool = await Spool.open({ directory, bytesMax: 1_000_000, openFile: smallDisk(disk) });
    const append = (n: number, bytes: number) =>
      spool.append(JSON.stringify({ n, pad: 'x'.repeat(bytes) })).then(
        () => 'stored',
        (error: SpoolError) => error.reason,
      );
    expect(await append(1, 2_000)).toBe('stored');
    expect(await append(2, 2_000)).toBe('disk');
    expect(await append(3, 500)).toBe('stored');
    disk.bytesMax = 1_000_000;
    expect(await append(4, 2_000)).toBe('stored');
    await spool.close();
    expect((await replayed(await openSpool())).events.map((e) => (JSON.parse(e) as { n: number }).n)).toEqual([1, 3, 4]);
  });

  it('what was stored before a disk failed for good is delivered by the next replay, not by the next process', async () => {
    const disk = { bytesMax: 3_000, isBroken: true };
    const spool = await Spool.open({ directory, bytesMax: 1_000_000, openFile: smallDisk(disk) });
    await spool.append(JSON.stringify({ n: 1, pad: 'x'.repeat(2_000) }));
    await expect(spool.append(JSON.stringify({ n: 2, pad: 'x'.repeat(2_000) }))).rejects.toThrow(SpoolError);
    expect((await replayed(spool)).events.map((e) => (JSON.parse(e) as { n: number }).n)).toEqual([1]);
    expect(spool.isEmpty).toBe(true);
    await spool.close();
  });
});

/** Files that hold `bytesMax`: as on a full disk, a write that crosses the end takes a part, and the next one fails. */
function smallDisk(disk: { bytesMax: number; /** Nor can a file be cut. */ isBroken?: boolean }): typeof open {
  return async (...args) => {
    const file = await open(...args);
    const write = file.write.bind(file) as (buffer: Buffer, offset: number, length: number, position: number) => Promise<unknown>;
    const limited = (buffer: Buffer, offset: number, length: number, position: number) => {
      const room = Math.min(length, disk.bytesMax - position);
      return room > 0 ? write(buffer, offset, room, position) : Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
    };
    const truncate = () => Promise.reject(Object.assign(new Error('input/output error'), { code: 'EIO' }));
    return Object.assign(file, { write: limited }, disk.isBroken ? { truncate } : {});
  };
}
