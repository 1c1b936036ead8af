const CREDENTIAL_SEGMENT = /^[A-Za-z0-9_-]{20,}$/;

/**
 * A URL without what it may carry besides its place: user, password, query, fragment, and long opaque parts of the path
 * (chat tools put their token there).
 */
export function maskUrl(url: string): string {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#]*@)?([^/?#]*)([^?#]*)(\?)?/i.exec(url);
  if (!match) return '[redacted]';
  const [, scheme, host, path, query] = match;
  const shown = path!
    .split('/')
    .map((segment) => (CREDENTIAL_SEGMENT.test(segment) ? '***' : segment))
    .join('/');
  return `${scheme}${host}${shown}${query ? '?***' : ''}`;
}
