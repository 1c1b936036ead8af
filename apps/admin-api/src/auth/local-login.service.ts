import { Inject, Injectable } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import type { PrismaClient } from '@omg/database';
import { audit } from '../audit/audit.js';
import { PRISMA } from '../http/tokens.js';
import { ensurePersonalTenant, setPasswordHash } from '../users/accounts.js';
import { LoginThrottle } from './login-throttle.js';
import { PasswordHasher } from './password-hasher.js';
import { SessionService, type IssuedSession } from './session.service.js';

/** Sign-in with mail and password. Nothing is written for the account, and nothing told about it, before the password is right. */
@Injectable()
export class LocalLoginService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    private readonly hasher: PasswordHasher,
    private readonly throttle: LoginThrottle,
    private readonly sessions: SessionService,
  ) {}

  async login(email: string, password: string, address: string): Promise<IssuedSession> {
    await this.throttle.admit(email, address);
    const user = await this.prisma.user.findUnique({ where: { email }, include: { credentials: { where: { kind: 'password' } } } });
    const stored = user?.credentials[0];
    const storedHash = stored?.passwordHash ?? undefined;
    if (!(await this.hasher.verify(storedHash, password)) || !user) {
      await this.recordFailure(user?.id, email, address);
      throw new AdminError('invalid_credentials');
    }
    await this.throttle.forgive(email, address);
    const renewed = this.hasher.isOutdated(storedHash!) ? await this.hasher.hash(password) : undefined;
    const { token, fresh } = await this.prisma.$transaction(async (tx) => {
      if (renewed !== undefined) await setPasswordHash(tx, user.id, renewed, stored?.chosenByOwner);
      await ensurePersonalTenant(tx, user);
      const updated = await tx.user.update({ where: { id: user.id }, data: { lastLoginAt: new Date() } });
      const opened = await this.sessions.open(tx, user.id, 'local');
      await audit(tx, {
        actor: { userId: user.id, email: user.email, via: 'session' },
        action: 'auth.login',
        resource: 'user',
        resourceId: user.id,
        metadata: { method: 'local', address },
      });
      return { token: opened, fresh: updated };
    });
    return this.sessions.issue(fresh, token, 'local');
  }

  /** The throttle bounds how many of these there can be. */
  private async recordFailure(userId: string | undefined, email: string, address: string): Promise<void> {
    await this.prisma.$transaction((tx) =>
      audit(tx, {
        actor: { ...(userId && { userId }), email },
        action: 'auth.login_failed',
        resource: 'user',
        resourceId: userId ?? 'unknown',
        metadata: { method: 'local', address },
      }),
    );
  }
}
