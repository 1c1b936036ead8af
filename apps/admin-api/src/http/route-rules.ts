import { Injectable, RequestMethod, type OnModuleInit } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import { PERMISSION_KEY, type Permission } from './permission.js';
import { CSV_KEY } from './returns.js';

export interface RouteRule {
  method: string;
  /** As declared, with `:parameters`. */
  path: string;
  /** `Controller.handler`, for messages. */
  handler: string;
  permission: Permission;
  /** It answers CSV as well. */
  csv: boolean;
}

/** Deny by default: the app does not start while a route has no rule, or has one that names a parameter it lacks. */
@Injectable()
export class RouteRules implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    this.list();
  }

  /** All routes of the app with their rules. Throws when one is missing. */
  list(): RouteRule[] {
    const rules: RouteRule[] = [];
    for (const wrapper of this.discovery.getControllers()) {
      const type = wrapper.metatype;
      if (!type || !wrapper.instance) continue;
      const prototype = Object.getPrototypeOf(wrapper.instance) as Record<string, (...args: unknown[]) => unknown>;
      for (const name of this.scanner.getAllMethodNames(prototype)) {
        const handler = prototype[name]!;
        const method = Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined;
        if (method === undefined) continue;
        const permission = this.reflector.getAllAndOverride<Permission | undefined>(PERMISSION_KEY, [handler, type]);
        const label = `${type.name}.${name}`;
        if (!permission) throw new Error(`${label} has no @Permission: every route names who may call it`);
        for (const path of routePaths(type, handler)) {
          const rule = {
            method: RequestMethod[method],
            path,
            handler: label,
            permission,
            csv: this.reflector.get<boolean | undefined>(CSV_KEY, handler) ?? false,
          };
          assertParameterExists(rule);
          rules.push(rule);
        }
      }
    }
    return rules;
  }
}

function assertParameterExists(rule: RouteRule): void {
  if (!rule.permission.rule.startsWith('tenant:')) return;
  const param = rule.permission.param ?? 'tenantId';
  if (!rule.path.split('/').includes(`:${param}`)) throw new Error(`${rule.handler}: its rule reads :${param}, which ${rule.path} lacks`);
}

function routePaths(type: object, handler: object): string[] {
  const bases = [Reflect.getMetadata(PATH_METADATA, type) as string | string[]].flat();
  const paths = [Reflect.getMetadata(PATH_METADATA, handler) as string | string[]].flat();
  return bases.flatMap((base) => paths.map((path) => `/${base}/${path}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1')));
}
