import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { AUTH_SETTINGS, type AuthSettings } from './auth.settings.js';
import { requireSameOrigin } from './cookies.js';

/** In front of every route: changes that carry the session cookie must come from our own pages. */
@Injectable()
export class OriginGuard implements CanActivate {
  constructor(@Inject(AUTH_SETTINGS) private readonly settings: AuthSettings) {}

  canActivate(context: ExecutionContext): boolean {
    requireSameOrigin(context.switchToHttp().getRequest<FastifyRequest>(), this.settings.cookieName);
    return true;
  }
}
