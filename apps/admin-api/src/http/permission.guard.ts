import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard } from '@nestjs/passport';
import { AdminError, DOWNLOAD_TOKEN_PARAM } from '@omg/contracts';
import { isUuid, type Role } from '@omg/domain';
import type { PrismaClient } from '@omg/database';
import { PERMISSION_KEY, type AuthenticatedRequest, type Permission } from './permission.js';
import { hasAnyRole, hasTenantRole, type Principal } from './principal.js';
import { PRISMA } from './tokens.js';

/** A person's access token, a machine's admin token, or a download link; 401 with one text for everything that is wrong with them. */
const CredentialGuard = AuthGuard(['jwt', 'admin-token', 'download-link']);

/** The one guard of the app, in front of every route. It throws: a handler behind it never runs on a refusal. */
@Injectable()
export class PermissionGuard extends CredentialGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    @Inject(PRISMA) private readonly prisma: PrismaClient,
  ) {
    super();
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const permission = this.reflector.getAllAndOverride<Permission | undefined>(PERMISSION_KEY, [context.getHandler(), context.getClass()]);
    if (!permission) throw new AdminError('forbidden');
    if (permission.rule === 'public') return true;
    await super.canActivate(context);
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    await this.authorize(permission, request, request.user!);
    return true;
  }

  override handleRequest<T>(error: unknown, user: T, _info: unknown, context: ExecutionContext): T {
    if (error) throw error;
    if (user) return user;
    const { query } = context.switchToHttp().getRequest<AuthenticatedRequest>();
    // Whoever opened a link that is too old must not be told to sign in, which would not help him.
    throw new AdminError(DOWNLOAD_TOKEN_PARAM in (query as object) ? 'invalid_download_link' : 'unauthenticated');
  }

  private async authorize(permission: Permission, request: AuthenticatedRequest, principal: Principal): Promise<void> {
    const { rule } = permission;
    if (rule === 'public' || rule === 'signed_in') return;
    if (rule === 'super_admin') {
      if (!principal.isSuperAdmin) throw new AdminError('forbidden');
      return;
    }
    const [scope, role] = rule.split(':') as ['any' | 'tenant', Role];
    const tenantId = scope === 'tenant' ? pathValue(request, permission.param ?? 'tenantId') : queryValue(request, permission.tenantQuery);
    if (tenantId === undefined) {
      if (!hasAnyRole(principal, role)) throw new AdminError('forbidden');
      return;
    }
    if (!isUuid(tenantId)) throw new AdminError('invalid_id');
    if (!hasTenantRole(principal, tenantId.toLowerCase(), role)) throw new AdminError('forbidden');
    // Others got their 403 above, for a foreign tenant and an unknown one alike; a super admin is told what is missing.
    if (principal.isSuperAdmin) await this.requireTenant(tenantId);
  }

  private async requireTenant(tenantId: string): Promise<void> {
    const tenant = await this.prisma.tenant.findUnique({ where: { id: tenantId }, select: { id: true } });
    if (!tenant) throw new AdminError('not_found', { message: 'The tenant does not exist.' });
  }
}

function pathValue(request: AuthenticatedRequest, name: string): string {
  const value = (request.params as Record<string, string | undefined>)[name];
  // A rule that names a parameter which its route lacks is caught at the start; this keeps the guard closed anyway.
  if (value === undefined) throw new AdminError('forbidden');
  return value;
}

function queryValue(request: AuthenticatedRequest, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const value = (request.query as Record<string, unknown>)[name];
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw new AdminError('invalid_id');
  return value;
}
