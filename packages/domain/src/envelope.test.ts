import { describe, expect, it } from '@jest/globals';
import { EnvelopeError, KeyRing, sealedContext } from './envelope.js';

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const old = new KeyRing([`2025:${key(1)}`]);
const ring = new KeyRing([`2026.a:${key(2)}`, `2025:${key(1)}`]);

describe('envelope', () => {
  it('opens what it sealed, whatever the text', () => {
    for (const secret of ['', 'sk-1', 'ключ 🔑', 'x'.repeat(100_000)]) expect(ring.open(ring.seal(secret, 'c'), 'c')).toBe(secret);
  });

  it('never seals the same secret to the same text', () => {
    expect(ring.seal('secret', 'c')).not.toBe(ring.seal('secret', 'c'));
  });

  it('opens older envelopes after a change of keys and says that they are old', () => {
    const envelope = old.seal('secret', 'c');
    expect(ring.open(envelope, 'c')).toBe('secret');
    expect(ring.isCurrent(envelope)).toBe(false);
    expect(ring.isCurrent(ring.seal('secret', 'c'))).toBe(true);
    expect(() => old.open(ring.seal('secret', 'c'), 'c')).toThrow(new EnvelopeError('unknown_key'));
  });

  it('does not open in another place', () => {
    const envelope = ring.seal('secret', sealedContext.routeSetting('api_key', 'a'));
    expect(() => ring.open(envelope, sealedContext.routeSetting('api_key', 'b'))).toThrow('not_authentic');
  });

  it('notices a change of any byte', () => {
    const envelope = ring.seal('secret', 'c');
    const bytes = Buffer.from(envelope.split(':')[2]!, 'base64url');
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes);
      changed[index]! ^= 1;
      expect(() => ring.open(`v1:2026.a:${changed.toString('base64url')}`, 'c')).toThrow(EnvelopeError);
    }
  });

  it.each(['', 'v1:2025:', 'v1:2025:AAAA', 'v2:2025:AAAA', 'plain'])('refuses %p', (text) => {
    expect(() => ring.open(text, 'c')).toThrow('malformed');
  });

  it.each([[[]], [['a:short']], [[`a:${key(1)}`, `a:${key(2)}`]], [['no-colon']]])('refuses a ring of %j', (entries) => {
    expect(() => new KeyRing(entries)).toThrow(RangeError);
  });
});
