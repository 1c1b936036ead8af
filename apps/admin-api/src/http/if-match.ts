import { AdminError } from '@omg/contracts';

/**
 * For conditional changes: `If-Match: "<version>"` as the last answer told it. Without the header a change applies to
 * whatever is there. Version 0 is what does not exist yet. The caller holds the row's lock, so nothing can come between check and write.
 */
export function requireVersion(ifMatch: string | undefined, version: number | undefined): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return;
  const match = /^(?:W\/)?"?(\d{1,9})"?$/.exec(ifMatch.trim());
  if (!match) throw new AdminError('invalid_request', { message: 'If-Match: must be a version, such as "3"' });
  if (version === undefined) throw new AdminError('invalid_request', { message: 'If-Match: names one version, but several routes are meant: name one by id' });
  if (Number(match[1]) !== version) throw new AdminError('version_conflict');
}
