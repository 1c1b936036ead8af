import { AdminError, DOWNLOAD_TOKEN_PARAM } from '@omg/contracts';
import type { RouteRule } from '../http/route-rules.js';

const ANY_ORIGIN = 'https://gateway.invalid';

/** Path and query as a browser will send them, for one of `routes` and for CSV; throws for everything else. */
export function downloadTarget(path: string, routes: readonly Pick<RouteRule, 'path'>[]): string {
  const url = URL.canParse(path, ANY_ORIGIN) ? new URL(path, ANY_ORIGIN) : undefined;
  if (!path.startsWith('/') || url?.origin !== ANY_ORIGIN || !routes.some((route) => fits(url.pathname, route.path)))
    throw new AdminError('invalid_request', { message: 'path: must be path and query of a report that comes as CSV' });
  const formats = url.searchParams.getAll('format');
  if (formats.some((format) => format !== 'csv') || url.searchParams.has(DOWNLOAD_TOKEN_PARAM))
    throw new AdminError('invalid_request', { message: `path: must have no other format than csv, and no ${DOWNLOAD_TOKEN_PARAM}` });
  const format = formats.length > 0 ? '' : `${url.search === '' ? '?' : '&'}format=csv`;
  return `${url.pathname}${url.search}${format}`;
}

/** `:name` stands for one part of the path. */
function fits(pathname: string, pattern: string): boolean {
  const parts = pathname.split('/');
  const expected = pattern.split('/');
  return parts.length === expected.length && expected.every((part, index) => (part.startsWith(':') ? parts[index] !== '' : part === parts[index]));
}
