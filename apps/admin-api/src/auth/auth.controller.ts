import { Body, Controller, Get, Inject, Ip, Post, Query, Req, Res } from '@nestjs/common';
import {
  AdminError,
  authMethodsSchema,
  loginRequestSchema,
  meSchema,
  oidcStartQuerySchema,
  oidcStartResponseSchema,
  refreshRequestSchema,
  tokenResponseSchema,
  type TokenResponse,
} from '@omg/contracts';
import type { PrismaClient } from '@omg/database';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomBytes } from 'node:crypto';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { PRISMA } from '../http/tokens.js';
import { userBody } from '../users/user-body.js';
import { AUTH_SETTINGS, type AuthSettings } from './auth.settings.js';
import { clearCookie, readCookie, setCookie } from './cookies.js';
import { LocalLoginService } from './local-login.service.js';
import { OIDC_LOGIN_TTL_MS, OidcLoginService } from './oidc-login.service.js';
import { withQuery } from './return-to.js';
import { SessionService, type IssuedSession } from './session.service.js';

const OIDC_COOKIE_PATH = '/admin/auth/oidc';
const BROWSER_SECRET = /^[A-Za-z0-9_-]{43}$/;

@Controller('admin/auth')
export class AuthController {
  constructor(
    @Inject(AUTH_SETTINGS) private readonly settings: AuthSettings,
    private readonly local: LocalLoginService,
    private readonly oidc: OidcLoginService,
    private readonly sessions: SessionService,
    @Inject(PRISMA) private readonly prisma: PrismaClient,
  ) {}

  @Get('methods')
  @Permission('public')
  @Returns(authMethodsSchema, { summary: 'Ways to sign in' })
  methods() {
    return { methods: [...(this.settings.localEnabled ? ['local'] : []), ...(this.settings.oidc ? ['oidc'] : [])] };
  }

  @Post('login')
  @Permission('public')
  @Returns(tokenResponseSchema, { summary: 'Sign in with mail and password' })
  async login(
    @Body({ schema: loginRequestSchema }) body: Parsed<typeof loginRequestSchema>,
    @Ip() address: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TokenResponse> {
    if (!this.settings.localEnabled) throw new AdminError('method_disabled');
    const session = await this.local.login(body.email, body.password, address);
    return this.answer(request, reply, session);
  }

  @Post('refresh')
  @Permission('public')
  @Returns(tokenResponseSchema, { summary: 'Exchange the refresh token for a new pair' })
  async refresh(
    @Body({ schema: refreshRequestSchema }) body: Parsed<typeof refreshRequestSchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TokenResponse> {
    const token = body.refresh_token ?? readCookie(request, this.settings.cookieName);
    if (!token) throw new AdminError('missing_refresh_token');
    const session = await this.sessions.refresh(token).catch((error: unknown) => {
      clearCookie(request, reply, this.settings.cookieName, '/');
      throw error;
    });
    return this.answer(request, reply, session);
  }

  @Post('logout')
  @Permission('public')
  @Returns(undefined, { summary: 'End the session' })
  async logout(
    @Body({ schema: refreshRequestSchema }) body: Parsed<typeof refreshRequestSchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const tokens = new Set([body.refresh_token, readCookie(request, this.settings.cookieName)]);
    for (const token of tokens) if (token) await this.sessions.logout(token);
    clearCookie(request, reply, this.settings.cookieName, '/');
  }

  @Get('me')
  @Permission('signed_in')
  @Returns(meSchema, { summary: 'Who is calling, with his memberships' })
  async me(@Caller() caller: Principal) {
    const user = await this.prisma.user.findUniqueOrThrow({ where: { id: caller.userId } });
    const memberships = [...caller.memberships].map(([tenantId, { role, kind }]) => ({ tenant_id: tenantId, role, kind }));
    return { user: userBody(user), via: caller.via, memberships };
  }

  @Get('oidc/start')
  @Permission('public')
  @Returns(oidcStartResponseSchema, { summary: 'Begin a sign-in at the OpenID provider' })
  async oidcStart(
    @Query({ schema: oidcStartQuerySchema }) query: Parsed<typeof oidcStartQuerySchema>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const known = readCookie(request, this.oidcCookie);
    // One secret per browser: several tabs may be signing in at once.
    const secret = known !== undefined && BROWSER_SECRET.test(known) ? known : randomBytes(32).toString('base64url');
    const { authUrl, state } = await this.oidc.start(query.return_to, secret);
    setCookie(request, reply, this.oidcCookie, secret, { path: OIDC_COOKIE_PATH, expires: new Date(Date.now() + OIDC_LOGIN_TTL_MS) });
    return { auth_url: authUrl, state };
  }

  @Get('oidc/callback')
  @Permission('public')
  @Returns(undefined, { status: 303, summary: 'Where the OpenID provider sends the browser back to; leads on to `return_to`' })
  async oidcCallback(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    if (!this.settings.oidc) throw new AdminError('method_disabled');
    const query = new URL(request.url, 'https://gateway.invalid').searchParams;
    const outcome = await this.oidc.callback(query, readCookie(request, this.oidcCookie));
    if ('session' in outcome) this.setRefreshCookie(request, reply, outcome.session);
    const target = 'session' in outcome ? withQuery(outcome.returnTo, 'status', 'success') : withQuery(outcome.returnTo, 'error', outcome.error);
    void reply.header('location', target).header('cache-control', 'no-store').header('referrer-policy', 'no-referrer');
  }

  private get oidcCookie(): string {
    return `${this.settings.cookieName}_oidc`;
  }

  private answer(request: FastifyRequest, reply: FastifyReply, session: IssuedSession): TokenResponse {
    this.setRefreshCookie(request, reply, session);
    void reply.header('cache-control', 'no-store');
    return session.response;
  }

  private setRefreshCookie(request: FastifyRequest, reply: FastifyReply, session: IssuedSession): void {
    setCookie(request, reply, this.settings.cookieName, session.refreshToken, { path: '/', expires: session.refreshExpiresAt });
  }
}
