import { applyDecorators, createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { Role } from '@omg/domain';
import type { FastifyRequest } from 'fastify';
import type { Principal } from './principal.js';

/**
 * Who may call a route. Every route names one; the app refuses to start otherwise.
 *
 * | rule | passes |
 * |---|---|
 * | `public` | everybody, without a credential |
 * | `signed_in` | every valid credential |
 * | `super_admin` | super admins |
 * | `any:<role>` | that role or above in some organization; with `tenantQuery`, in the tenant that the query names |
 * | `tenant:<role>` | that role or above in the tenant of the route parameter (`tenantId` unless `param` says otherwise) |
 *
 * Super admins pass every rule. What depends on the body is checked by the service, with the helpers of principal.ts.
 */
export type PermissionRule = 'public' | 'signed_in' | 'super_admin' | `any:${Role}` | `tenant:${Role}`;

export interface PermissionOptions {
  /** Route parameter with the tenant's id, for `tenant:` rules. */
  param?: string;
  /** Query parameter with an optional tenant id, for `any:` rules. */
  tenantQuery?: string;
}

export interface Permission extends PermissionOptions {
  rule: PermissionRule;
}

export const PERMISSION_KEY = 'omg:permission';

export const Permission = (rule: PermissionRule, options: PermissionOptions = {}) =>
  applyDecorators(SetMetadata(PERMISSION_KEY, { rule, ...options } satisfies Permission), ApiExtension('x-permission', rule));

/** A Fastify request past the guard. */
export interface AuthenticatedRequest extends FastifyRequest {
  user?: Principal;
}

/** The caller. Only on routes that are not public. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): Principal => {
  const principal = context.switchToHttp().getRequest<AuthenticatedRequest>().user;
  if (!principal) throw new Error('a public route asked for its caller');
  return principal;
});
