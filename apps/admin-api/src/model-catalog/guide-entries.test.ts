import { describe, expect, it } from '@jest/globals';
import { catalogEntryInputSchema } from '@omg/contracts';
import { listProviders, resolveSettings } from '@omg/providers';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { entryFromInput, pricesFromInput, requireProvider } from './catalog-input.js';

/** The entries that the guides offer for copying, as they would be posted to the admin API with their variables filled in. */
const GUIDES = join(import.meta.dirname, '../../../../docs/guides/providers');
const FILLED: Readonly<Record<string, string>> = {
  GCP_SERVICE_ACCOUNT_JSON: JSON.stringify({ type: 'service_account', client_email: 'a@b.iam.gserviceaccount.com', private_key: 'x' }),
};

type Entry = Record<string, unknown> & { alias: string; metadata?: Record<string, unknown> };

function filled(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/\$\{([A-Z0-9_]+)(?::-[^}]*)?\}/g, (_, name: string) => FILLED[name] ?? 'filled-in');
  if (Array.isArray(value)) return value.map(filled);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, filled(inner)]));
  return value;
}

function entriesOf(page: string): Entry[] {
  const blocks = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(
    ([, text]) => parse(text!) as { model_catalog?: Entry[]; metadata?: Record<string, unknown> },
  );
  const whole = blocks.flatMap((block) => block.model_catalog ?? []);
  // A fragment stands in for the metadata of the page's first entry, and for its key.
  const variants = blocks.flatMap(({ metadata }) => (metadata && whole[0] ? [{ ...whole[0], api_key: undefined, metadata }] : []));
  return [...whole, ...variants].map((entry) => filled(entry) as Entry);
}

const pages = readdirSync(GUIDES).filter((name) => name.endsWith('.md'));
const entries = pages.flatMap((name) =>
  entriesOf(readFileSync(join(GUIDES, name), 'utf8')).map((entry, index) => [`${name} #${index + 1} (${entry.alias})`, entry] as const),
);

describe('a catalog entry of the guides', () => {
  it('is there for every provider', () => {
    const shown = new Set(entries.map(([, entry]) => String(entry['provider']).replaceAll('_', '-')));
    expect([...shown].sort()).toEqual(
      listProviders()
        .map(({ slug }) => slug)
        .sort(),
    );
  });

  it.each(entries)('%s is taken by the admin API and makes a route', (_name, entry) => {
    const input = catalogEntryInputSchema.parse(entry);
    const definition = requireProvider(input.provider);
    const route = entryFromInput(input, definition, undefined);
    const { settings, problems } = resolveSettings(definition, route.sources, {});
    expect(problems).toEqual([]);
    const { providerModel, deployment, modalities, maxOutputTokens } = route;
    expect(() => definition.create({ id: 'r', providerModel, deployment, modalities, maxOutputTokens, settings })).not.toThrow();
    const prices = pricesFromInput(input);
    expect([prices.input, prices.output, prices.imageCents].some((price) => price !== undefined)).toBe(true);
  });
});
