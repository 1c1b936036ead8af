import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { AuthStore, type RedisClient } from '@omg/storage';
import { ADMIN_CONFIG, REDIS } from '../http/tokens.js';
import { AdminTokensController } from './admin-tokens.controller.js';
import { AdminTokensService } from './admin-tokens.service.js';
import { AuthController } from './auth.controller.js';
import { AUTH_SETTINGS, authSettings } from './auth.settings.js';
import { LocalLoginService } from './local-login.service.js';
import { LoginThrottle } from './login-throttle.js';
import { OidcClient } from './oidc.client.js';
import { OidcLoginService } from './oidc-login.service.js';
import { OriginGuard } from './origin.guard.js';
import { PasswordHasher } from './password-hasher.js';
import { PrincipalLoader } from './principal.loader.js';
import { SessionSweepJob } from './session-sweep.job.js';
import { SessionService } from './session.service.js';
import { SignInResultController } from './sign-in-result.controller.js';
import { AdminTokenStrategy, DownloadLinkStrategy, JwtStrategy } from './strategies.js';
import { TokenService } from './token.service.js';

@Module({
  imports: [JwtModule.register({}), PassportModule.register({ session: false })],
  controllers: [AuthController, AdminTokensController, SignInResultController],
  providers: [
    { provide: AUTH_SETTINGS, useFactory: authSettings, inject: [ADMIN_CONFIG] },
    { provide: AuthStore, useFactory: (redis: RedisClient) => new AuthStore(redis), inject: [REDIS] },
    { provide: APP_GUARD, useClass: OriginGuard },
    PasswordHasher,
    TokenService,
    SessionService,
    SessionSweepJob,
    PrincipalLoader,
    JwtStrategy,
    AdminTokenStrategy,
    DownloadLinkStrategy,
    LoginThrottle,
    LocalLoginService,
    OidcClient,
    OidcLoginService,
    AdminTokensService,
  ],
  exports: [AUTH_SETTINGS, PasswordHasher, SessionService, TokenService],
})
export class AuthModule {}
