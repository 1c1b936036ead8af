import { Inject, Injectable, Logger } from '@nestjs/common';
import { AdminError } from '@omg/contracts';
import { Prisma, type PrismaClient, type PrismaTx } from '@omg/database';
import { AuthStore } from '@omg/storage';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { audit } from '../audit/audit.js';
import { PRISMA } from '../http/tokens.js';
import { newId } from '../new-id.js';
import { createAccount, endOwnersPassword, ensurePersonalTenant } from '../users/accounts.js';
import type { UserRow } from '../users/user-body.js';
import { OidcClient, type VerifiedIdentity } from './oidc.client.js';
import { readProfile, type OidcFailure, type OidcProfile } from './oidc-claims.js';
import { safeReturnTo } from './return-to.js';
import { SessionService, type IssuedSession } from './session.service.js';

/** How long a sign-in may take at the provider. */
export const OIDC_LOGIN_TTL_MS = 10 * 60_000;

const pendingLoginSchema = z.object({ nonce: z.string(), codeVerifier: z.string(), returnTo: z.string(), browserHash: z.string() });

export interface OidcStart {
  authUrl: string;
  state: string;
}

export type OidcCallbackOutcome = { returnTo: string; session: IssuedSession } | { returnTo: string; error: OidcFailure };

/**
 * Sign-in through an OpenID provider. The state is 256 random bits, kept in Redis for ten minutes, read and deleted in one
 * step, and bound to the browser that began: its cookie holds a secret whose hash is stored with the state, so that nobody
 * can be made to finish somebody else's sign-in. What the provider says on errors stays in the log; the browser gets a slug.
 */
@Injectable()
export class OidcLoginService {
  private readonly logger = new Logger('oidc');

  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    private readonly store: AuthStore,
    private readonly client: OidcClient,
    private readonly sessions: SessionService,
  ) {}

  async start(returnTo: string | undefined, browserSecret: string): Promise<OidcStart> {
    const path = safeReturnTo(returnTo);
    if (path === undefined) throw new AdminError('invalid_request', { message: 'return_to: must be a path under /admin, /user or /auth' });
    const state = randomText();
    const pending = { nonce: randomText(), codeVerifier: randomText() };
    const authUrl = await this.client.authorizationUrl({ state, ...pending });
    await this.store.putLogin(sha256(state), JSON.stringify({ ...pending, returnTo: path, browserHash: sha256(browserSecret) }), OIDC_LOGIN_TTL_MS);
    return { authUrl, state };
  }

  async callback(query: URLSearchParams, browserSecret: string | undefined): Promise<OidcCallbackOutcome> {
    const fallback = safeReturnTo(undefined)!;
    const state = query.get('state');
    if (!state) throw new AdminError('oidc_state_missing');
    // Checks that cost nothing come before the state is used up: a foreign browser must not be able to end a sign-in.
    if (browserSecret === undefined) return { returnTo: fallback, error: 'invalid_state' };
    const text = await this.store.takeLogin(sha256(state));
    const pending = text === undefined ? undefined : pendingLoginSchema.parse(JSON.parse(text));
    if (!pending || !equalText(pending.browserHash, sha256(browserSecret))) return { returnTo: fallback, error: 'invalid_state' };
    const { returnTo } = pending;
    const refusal = query.get('error');
    if (refusal !== null) return { returnTo, error: refusal === 'access_denied' ? 'access_denied' : 'provider_error' };
    let identity: VerifiedIdentity;
    try {
      identity = await this.client.exchange(query, { state, nonce: pending.nonce, codeVerifier: pending.codeVerifier });
    } catch (error) {
      this.logger.warn(`sign-in refused: ${describe(error)}`);
      return { returnTo, error: error instanceof AdminError && error.code === 'unavailable' ? 'provider_unavailable' : 'sign_in_failed' };
    }
    const profile = readProfile(identity.claims, this.client.settings);
    if ('refused' in profile) return { returnTo, error: profile.refused };
    return this.finish(identity, profile, returnTo);
  }

  private async finish(identity: VerifiedIdentity, profile: OidcProfile, returnTo: string): Promise<OidcCallbackOutcome> {
    const signIn = () => this.prisma.$transaction((tx) => this.signIn(tx, identity, profile));
    // Two first logins at once: the loser of the unique constraint finds the winner's account.
    const done = await signIn().catch((error: unknown) => {
      if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002') return signIn();
      throw error;
    });
    return done === undefined ? { returnTo, error: 'account_conflict' } : { returnTo, session: done };
  }

  private async signIn(tx: PrismaTx, identity: VerifiedIdentity, profile: OidcProfile): Promise<IssuedSession | undefined> {
    const found = await this.findOrCreate(tx, identity, profile);
    if (!found) return undefined;
    const passwordEnded = await endOwnersPassword(tx, found.id);
    const owned = await ensurePersonalTenant(tx, found);
    const bootstrapped = (await tx.user.findUniqueOrThrow({ where: { id: owned.id }, select: { bootstrapped: true } })).bootstrapped;
    const promoted = profile.isSuperAdmin ?? owned.isSuperAdmin;
    const isSuperAdmin = promoted || (bootstrapped && owned.isSuperAdmin);
    const user = await tx.user.update({ where: { id: owned.id }, data: { lastLoginAt: new Date(), isSuperAdmin } });
    const token = await this.sessions.open(tx, user.id, 'oidc');
    await audit(tx, {
      actor: { userId: user.id, email: user.email, via: 'session' },
      action: 'auth.login',
      resource: 'user',
      resourceId: user.id,
      metadata: { method: 'oidc', issuer: identity.issuer, ...(passwordEnded && { password_ended: true }) },
      before: { is_super_admin: owned.isSuperAdmin },
      after: { is_super_admin: isSuperAdmin },
    });
    return this.sessions.issue(user, token, 'local');
  }

  /** By (issuer, subject), else by the verified mail, else new. Undefined: the mail belongs to another identity of this issuer. */
  private async findOrCreate(tx: PrismaTx, identity: VerifiedIdentity, profile: OidcProfile): Promise<UserRow | undefined> {
    const { issuer, subject } = identity;
    const known = await tx.credential.findUnique({ where: { issuer_subject: { issuer, subject } }, include: { user: true } });
    if (known) return known.user;
    let user: UserRow | null = await tx.user.findUnique({ where: { email: profile.email } });
    if (user) {
      // A mail address that moved to another person at the provider must not open the first person's account.
      const other = await tx.credential.findFirst({ where: { userId: user.id, kind: 'oidc', issuer } });
      if (other) return undefined;
    } else {
      user = await createAccount(tx, { email: profile.email, name: profile.name });
    }
    await tx.credential.create({ data: { id: newId(), userId: user.id, kind: 'oidc', issuer, subject } });
    return user;
  }
}

function randomText(): string {
  return randomBytes(32).toString('base64url');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function equalText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Kind and code of an error of the protocol; its text may quote tokens or the provider. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? `${error.name} ${code}` : error.name;
}
