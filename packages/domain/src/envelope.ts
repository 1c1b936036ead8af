import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * Secrets at rest: AES-256-GCM with a random nonce, in one line of text, `v1:<key id>:<base64url of nonce, ciphertext, tag>`.
 *
 * The key id says which key of the ring opens it, so that keys can be changed: put the new key first in the ring, keep the
 * old ones until everything is sealed anew (`isCurrent` says what is left). The context (additional authenticated data)
 * binds an envelope to its place: moved to another route or setting, it does not open.
 */
export class EnvelopeError extends Error {
  constructor(readonly reason: 'malformed' | 'unknown_key' | 'not_authentic') {
    super(`envelope cannot be opened: ${reason}`);
    this.name = 'EnvelopeError';
  }
}

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ENTRY = /^([A-Za-z0-9_.-]{1,32}):([A-Za-z0-9+/_-]+={0,2})$/;
const ENVELOPE = /^v1:([A-Za-z0-9_.-]{1,32}):([A-Za-z0-9_-]+)$/;

export class KeyRing {
  private readonly keys = new Map<string, Buffer>();
  private readonly currentId: string;

  /** Entries `kid:base64 of 32 bytes`; the first seals, all open. Throws a RangeError without showing a key. */
  constructor(entries: readonly string[]) {
    for (const [index, entry] of entries.entries()) {
      const match = KEY_ENTRY.exec(entry.trim());
      const key = match ? Buffer.from(match[2]!, 'base64') : undefined;
      if (!match || key?.length !== 32) throw new RangeError(`encryption key ${index} is not kid:base64 of 32 bytes`);
      if (this.keys.has(match[1]!)) throw new RangeError(`encryption key ${index} repeats the id of an earlier one`);
      this.keys.set(match[1]!, key);
    }
    const first = this.keys.keys().next().value;
    if (first === undefined) throw new RangeError('no encryption key');
    this.currentId = first;
  }

  seal(secret: string, context: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.keys.get(this.currentId)!, nonce);
    cipher.setAAD(Buffer.from(context, 'utf8'));
    const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `v1:${this.currentId}:${sealed.toString('base64url')}`;
  }

  /** Throws an EnvelopeError that tells nothing of the content. */
  open(envelope: string, context: string): string {
    const match = ENVELOPE.exec(envelope);
    if (!match) throw new EnvelopeError('malformed');
    const key = this.keys.get(match[1]!);
    if (!key) throw new EnvelopeError('unknown_key');
    const bytes = Buffer.from(match[2]!, 'base64url');
    if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new EnvelopeError('malformed');
    const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context, 'utf8'));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw new EnvelopeError('not_authentic');
    }
  }

  /** False: sealed with an older key, to be sealed anew. */
  isCurrent(envelope: string): boolean {
    return ENVELOPE.exec(envelope)?.[1] === this.currentId;
  }
}

/** Contexts of the envelopes that more than one service opens. */
export const sealedContext = {
  /** A secret setting in a route's document (`RouteDocument.sealed`). */
  routeSetting: (setting: string, routeId: string) => `route:${routeId}:${setting}`,
  /** `AlertTransportSetting.smtp.sealedPassword`. */
  smtpPassword: 'setting:alerts:smtp.password',
} as const;
