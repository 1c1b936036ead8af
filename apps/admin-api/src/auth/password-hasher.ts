import { Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import { argon2id, hash, needsRehash, verify } from 'argon2';

/** OWASP's first choice for Argon2id: 19 MiB, two passes, one lane; some 20 ms of one core. */
const PARAMETERS = { type: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
/** Hashes that run at once: each holds 19 MiB and a thread of libuv's four. */
const RUNNING_MAX = 3;
/** A login that waits behind more than this is refused: better than seconds of delay for everybody. */
const WAITING_MAX = 64;

/** Argon2id for people's passwords, with a bound on what runs and waits. */
@Injectable()
export class PasswordHasher {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  /** Stands in for the hash of an account that does not exist, so that it costs the same time. */
  private decoy: Promise<string> | undefined;

  async hash(password: string): Promise<string> {
    return this.bounded(() => hash(password, PARAMETERS));
  }

  /** False for a wrong password and for an account without one, after the same work. */
  async verify(storedHash: string | undefined, password: string): Promise<boolean> {
    const decoy = await (this.decoy ??= this.makeDecoy());
    const matches = await this.bounded(() => verify(storedHash ?? decoy, password));
    return storedHash !== undefined && matches;
  }

  /** True when the parameters have grown since the hash was made. */
  isOutdated(storedHash: string): boolean {
    return needsRehash(storedHash, PARAMETERS);
  }

  private makeDecoy(): Promise<string> {
    return this.hash('decoy of an account that does not exist').catch((error: unknown) => {
      // Refused in a busy moment: kept, the refusal would be that of every later login.
      this.decoy = undefined;
      throw error;
    });
  }

  private async bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= RUNNING_MAX) {
      if (this.waiting.length >= WAITING_MAX) throw new AdminError('unavailable', { retryAfterSeconds: 2 });
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else {
      this.running++;
    }
    try {
      return await work();
    } finally {
      // The slot goes to the next in line, or is given back.
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }
}
