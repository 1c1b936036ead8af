import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor, type Type } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { Reflector } from '@nestjs/core';
import { AdminError, DOWNLOAD_TOKEN_PARAM } from '@omg/contracts';
import type { FastifyRequest } from 'fastify';
import type { Observable } from 'rxjs';
import { z } from 'zod';
import { PERMISSION_KEY, type Permission } from './permission.js';
import { CSV_KEY } from './returns.js';

const NAMES_SHOWN_MAX = 5;
const NAME_CHARS_SHOWN_MAX = 64;

/**
 * Refuses query parameters that a route does not have: `form=` for `from=` would answer a report of other days, and
 * `?route=` for `?id=` would remove every route of a model. What a route takes is read from the schemas of its `@Query`.
 * A public route without one may be called by others with whatever they add: the way back from an OpenID provider.
 */
@Injectable()
export class KnownQueryInterceptor implements NestInterceptor {
  private readonly known = new Map<unknown, ReadonlySet<string> | undefined>();

  constructor(private readonly reflector: Reflector) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const sent = Object.keys(context.switchToHttp().getRequest<FastifyRequest>().query as object);
    if (sent.length > 0) refuseUnknown(sent, this.namesOf(context));
    return next.handle();
  }

  private namesOf(context: ExecutionContext): ReadonlySet<string> | undefined {
    const handler = context.getHandler();
    if (!this.known.has(handler)) this.known.set(handler, this.readNames(context));
    return this.known.get(handler);
  }

  /** Undefined: whatever comes. */
  private readNames(context: ExecutionContext): ReadonlySet<string> | undefined {
    const [type, handler] = [context.getClass(), context.getHandler()];
    const schemas = querySchemas(type, handler.name);
    const permission = this.reflector.getAllAndOverride<Permission>(PERMISSION_KEY, [handler, type]);
    if (schemas.length === 0 && permission.rule === 'public') return undefined;
    const csv = this.reflector.get<boolean | undefined>(CSV_KEY, handler) ?? false;
    return new Set([...schemas.flatMap((schema) => Object.keys(schema.shape)), ...(csv ? [DOWNLOAD_TOKEN_PARAM] : [])]);
  }
}

function querySchemas(type: Type, method: string): z.ZodObject[] {
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, type, method) ?? {}) as Record<string, { schema?: unknown }>;
  return Object.entries(parameters)
    .filter(([key]) => key.startsWith(`${RouteParamtypes.QUERY}:`))
    .map(([, { schema }]) => {
      if (schema instanceof z.ZodObject) return schema;
      throw new Error(`${type.name}.${method}: a query without an object schema, so that nobody knows its parameters`);
    });
}

function refuseUnknown(sent: readonly string[], known: ReadonlySet<string> | undefined): void {
  const unknown = known ? sent.filter((name) => !known.has(name)) : [];
  if (!known || unknown.length === 0) return;
  const shown = unknown.slice(0, NAMES_SHOWN_MAX).map((name) => name.slice(0, NAME_CHARS_SHOWN_MAX));
  const taken = [...known].filter((name) => name !== DOWNLOAD_TOKEN_PARAM).sort();
  const hint = taken.length > 0 ? `there are: ${taken.join(', ')}` : 'there are none';
  throw new AdminError('invalid_request', { message: `${shown.join(', ')}: no such query parameter; ${hint}` });
}
