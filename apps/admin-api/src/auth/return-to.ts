/** Where a sign-in ends that names no place; see sign-in-result.controller.ts. */
export const DEFAULT_RETURN_PATH = '/admin/ui/auth/oidc/callback';
const PLACE = 'https://gateway.invalid';

/** A path of ours to go back to after the sign-in; undefined for anything that could lead elsewhere. */
export function safeReturnTo(path: string | undefined): string | undefined {
  if (path === undefined || path === '') return DEFAULT_RETURN_PATH;
  // Browsers take "\" for "/" and drop control characters, so neither may take part.
  if (!path.startsWith('/') || path.startsWith('//') || /[\\\u0000-\u0020\u007f]/.test(path)) return undefined;
  let url: URL;
  try {
    url = new URL(path, PLACE);
  } catch {
    return undefined;
  }
  if (url.origin !== PLACE || !/^\/(admin|user|auth)(\/|$)/.test(url.pathname)) return undefined;
  return `${url.pathname}${url.search}`;
}

export function withQuery(path: string, name: string, value: string): string {
  const url = new URL(path, PLACE);
  url.searchParams.set(name, value);
  return `${url.pathname}${url.search}`;
}
