import { InvalidArgumentError } from 'commander';
import { unwrap, type AdminClient } from '../client.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const PAGE = 200;

/** All pages of a list. */
export async function allPages<T>(read: (page: { limit: number; offset: number }) => Promise<{ rows: T[]; total: number }>): Promise<T[]> {
  const found: T[] = [];
  for (;;) {
    const { rows, total } = await read({ limit: PAGE, offset: found.length });
    found.push(...rows);
    if (rows.length < PAGE || found.length >= total) return found;
  }
}

/** A tenant by id or name; names differ by more than case. */
export async function tenantId(client: AdminClient, nameOrId: string): Promise<string> {
  if (UUID.test(nameOrId)) return nameOrId;
  const { tenants } = await unwrap(client.GET('/admin/tenants', { params: { query: { q: nameOrId, limit: PAGE } } }));
  const found = tenants.find(({ name }) => name.toLowerCase() === nameOrId.trim().toLowerCase());
  if (found) return found.id;
  const near = tenants.slice(0, 3).map(({ name }) => `"${name}"`);
  throw new Error(`there is no tenant named ${nameOrId}${near.length > 0 ? `; there is ${near.join(', ')}` : ''}`);
}

/** A key of the tenant by id, prefix or token. */
export async function keyId(client: AdminClient, tenant: string, key: string): Promise<string> {
  if (UUID.test(key)) return key;
  const prefix = /^(?:sk-)?([^.]+)/.exec(key)?.[1];
  const { api_keys: keys } = await unwrap(client.GET('/admin/tenants/{tenantId}/api-keys', { params: { path: { tenantId: tenant } } }));
  const found = keys.find((row) => row.prefix === prefix);
  // Not the argument as it stands: it may be a whole token.
  if (!found) throw new Error(`the tenant has no key with the prefix ${prefix ?? ''}`);
  return found.id;
}

export function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('must be a whole number');
  return Number(text);
}

/** A whole number from 1 to `max`. */
export function countTo(max: number): (text: string) => number {
  return (text) => {
    const value = count(text);
    if (value < 1 || value > max) throw new InvalidArgumentError(`must be from 1 to ${max}`);
    return value;
  };
}

export function amount(text: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('must be an amount in USD, such as 25 or 0.5');
  return Number(text);
}

export function fraction(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('must be above 0 and at most 1');
  return value;
}

export function period(text: string): string {
  if (!/^\d{1,4}[dh]$/.test(text)) throw new InvalidArgumentError('must be a number of days or hours, such as 30d or 24h');
  return text;
}
