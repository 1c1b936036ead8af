import { describe, expect, it } from '@jest/globals';
import { AddressGuard, instanceMetadataGuard, parseAllowlist } from './address-guard.js';

const guard = (...entries: string[]) => new AddressGuard(parseAllowlist(entries));

describe('the guard of requests to instance metadata', () => {
  it('lets that one address pass, under whatever name, and nothing else', () => {
    const metadata = instanceMetadataGuard();
    expect(metadata.permits('169.254.169.254', '169.254.169.254')).toBe(true);
    for (const address of ['169.254.169.253', '127.0.0.1', '10.0.0.1', '8.8.8.8', 'fd00:ec2::254', '::ffff:169.254.169.254'])
      expect(metadata.permits('evil.example', address)).toBe(false);
  });
});

describe('the address guard', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1%eth0',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    'not-an-address',
  ])('refuses %s by default', (address) => {
    expect(guard().permits('evil.example', address)).toBe(false);
  });

  it.each(['8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'])('lets %s pass', (address) => {
    expect(guard().permits('api.example', address)).toBe(true);
  });

  it('lets private addresses pass when the allowlist names the host, its suffix, the address or the range', () => {
    expect(guard('vllm.internal').permits('VLLM.internal.', '10.0.0.5')).toBe(true);
    expect(guard('*.internal').permits('a.internal', '10.0.0.5')).toBe(true);
    expect(guard('*.internal').permits('internal', '10.0.0.5')).toBe(false);
    expect(guard('127.0.0.1').permits('localhost', '127.0.0.1')).toBe(true);
    expect(guard('10.0.0.0/8').permits('x', '::ffff:10.2.3.4')).toBe(true);
    expect(guard('fd00::/8').permits('x', 'fd12::1')).toBe(true);
    expect(guard('10.0.0.0/8').permits('x', '11.0.0.1')).toBe(true);
    expect(guard('10.0.0.0/8').permits('x', '192.168.1.1')).toBe(false);
  });

  it('lets metadata addresses pass only by address, so that a named host cannot be pointed at them', () => {
    expect(guard('vllm.internal').permits('vllm.internal', '169.254.169.254')).toBe(false);
    expect(guard('169.254.169.254').permits('x', '169.254.169.254')).toBe(true);
  });

  it.each(['http://x', '10.0.0.0/33', '10.0.0', 'a b', ''])('refuses %j as an entry', (entry) => {
    expect(() => parseAllowlist([entry])).toThrow(TypeError);
  });
});
