import { describe, expect, it } from '@jest/globals';
import { dockerRunArguments } from './docker.ts';

describe('docker run', () => {
  it('publishes on loopback only, with the data outside the container and a name of ours', () => {
    const args = dockerRunArguments('redis', 'omg-1234-redis', 16379, '/path with space/redis');
    expect(args).toEqual(expect.arrayContaining(['--rm', '--name', 'omg-1234-redis', '127.0.0.1:16379:6379', '/path with space/redis:/data']));
    expect(args.slice(args.indexOf('redis:7.4') + 1)).toEqual(expect.arrayContaining(['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']));
  });

  it('gives NATS its stream storage on the mounted folder', () => {
    expect(dockerRunArguments('nats', 'n', 14222, '/d').slice(-3)).toEqual(['-js', '-sd', '/data']);
  });
});
