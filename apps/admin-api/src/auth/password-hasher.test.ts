import { describe, expect, it } from '@jest/globals';
import { PasswordHasher } from './password-hasher.js';

describe('the password hasher', () => {
  it('refuses a login in a moment when too much waits, and takes it in the next', async () => {
    const hasher = new PasswordHasher();
    // As many as run and wait at once.
    const others = Array.from({ length: 67 }, (_, index) => hasher.hash(`password ${index}`));
    await expect(hasher.verify(undefined, 'secret')).rejects.toMatchObject({ code: 'unavailable' });
    const [hash] = await Promise.all(others);
    expect(await hasher.verify(hash, 'password 0')).toBe(true);
    expect(await hasher.verify(hash, 'password 1')).toBe(false);
    expect(await hasher.verify(undefined, 'secret')).toBe(false);
  });
});
