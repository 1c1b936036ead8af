import { AdminError } from '@omg/contracts';
import { parseCookie, stringifySetCookie } from 'cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';

const LOCAL_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface CookieOptions {
  path: string;
  expires: Date;
}

export function readCookie(request: FastifyRequest, name: string): string | undefined {
  const header = request.headers.cookie;
  // Fastify bounds headers as a whole; parsing is linear.
  return header === undefined ? undefined : parseCookie(header)[name];
}

/** Secure on everything but plain-http localhost. `protocol` follows `X-Forwarded-Proto` only behind a configured proxy. */
export function setCookie(request: FastifyRequest, reply: FastifyReply, name: string, value: string, options: CookieOptions): void {
  const secure = !(request.protocol === 'http' && LOCAL_HOSTS.has(request.hostname));
  appendCookie(reply, stringifySetCookie({ name, value, httpOnly: true, sameSite: 'lax', secure, path: options.path, expires: options.expires }));
}

export function clearCookie(request: FastifyRequest, reply: FastifyReply, name: string, path: string): void {
  setCookie(request, reply, name, '', { path, expires: new Date(0) });
}

function appendCookie(reply: FastifyReply, line: string): void {
  const before = reply.getHeader('set-cookie');
  reply.header('set-cookie', before === undefined ? line : [before, line].flat().map(String));
}

/**
 * Cookies travel by themselves, so a change that carries one must come from our own pages: its Origin must be the one it
 * was sent to. Requests without an Origin are not from a page, unless the browser says so in `Sec-Fetch-Site`.
 */
export function requireSameOrigin(request: FastifyRequest, cookieName: string): void {
  if (SAFE_METHODS.has(request.method) || readCookie(request, cookieName) === undefined) return;
  const { origin } = request.headers;
  if (origin === undefined) {
    const site = request.headers['sec-fetch-site'];
    if (site === undefined || site === 'same-origin' || site === 'none') return;
    throw new AdminError('origin_not_allowed');
  }
  if (origin.toLowerCase() !== `${request.protocol}://${request.host}`.toLowerCase()) throw new AdminError('origin_not_allowed');
}
