import { z } from 'zod';

/** Pieces of the providers' settings. Settings that a provider does not know (labels, prices) are kept and ignored. */

const text = z.string().trim();

/** A server's root, such as `https://host/v1`: http or https, without credentials, query or fragment. */
export const baseUrl = text.refine(isBaseUrl, { message: 'must be an http or https URL without credentials, query or fragment' });

function isBaseUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return (
    url !== undefined &&
    (url.protocol === 'http:' || url.protocol === 'https:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
  );
}

/** A value that travels in a header: printable ASCII, so that it can never break out of it. */
export const headerText = text.regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces');

export type SettingsSchema = z.ZodType<Record<string, string | undefined>>;

export function settingsSchema(shape: Record<string, z.ZodType<string | undefined>>): SettingsSchema {
  return z.object(shape).catchall(z.string()) as unknown as SettingsSchema;
}

/** Empty settings count as absent: that is how "not set" comes out of environment variables. */
export function setting(settings: Readonly<Record<string, string>>, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = settings[name]?.trim();
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}

export function withoutTrailingSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
