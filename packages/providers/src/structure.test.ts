import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { PROVIDER_REFERENCE_FILE, providerReference } from './reference/provider-reference.js';
import { getProvider, listProviders } from './registry.js';

/** Folders that are no providers. */
const SHARED = ['catalog', 'kit', 'reference', 'spec', 'testing'];

const folders = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !SHARED.includes(entry.name))
  .map((entry) => entry.name);

describe('the providers', () => {
  it('are one folder each, and every folder is registered', () => {
    expect([...listProviders().map((provider) => provider.slug)].sort()).toEqual([...folders].sort());
  });

  it.each(folders)('%s has an adapter and recorded fixtures', (folder) => {
    const files = readdirSync(join(import.meta.dirname, folder));
    expect(files).toContain('adapter.ts');
    expect(readdirSync(join(import.meta.dirname, folder, '__fixtures__'))).toContain('cases.ts');
  });

  it.each(folders)('%s is documented with a catalog entry to copy', (folder) => {
    const page = readFileSync(join(import.meta.dirname, `../../../docs/guides/providers/${folder}.md`), 'utf8');
    expect(page).toMatch(/```yaml\nmodel_catalog:/);
    expect(page).toContain(`provider: ${folder}`);
    for (const name of getProvider(folder)!.secretSettings) expect(page).toContain(name);
  });

  it('are listed in the reference as they are in the registry', () => {
    expect(readFileSync(join(import.meta.dirname, '../../..', PROVIDER_REFERENCE_FILE), 'utf8')).toBe(providerReference());
  });

  it('are found by slug in any case, and by the other spellings that catalogs use', () => {
    expect(getProvider(' OpenAI ')?.slug).toBe('openai');
    expect(getProvider('openai_compatible')?.slug).toBe('openai-compatible');
    expect(getProvider('nobody')).toBeUndefined();
  });

  it('keep their files short and reach no socket, clock of their own or environment', () => {
    for (const folder of [...folders, 'kit', 'spec']) {
      for (const file of readdirSync(join(import.meta.dirname, folder)).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
        const text = readFileSync(join(import.meta.dirname, folder, file), 'utf8');
        expect({ file, lines: text.split('\n').length <= 500 }).toEqual({ file, lines: true });
        expect({ file, bad: /process\.env|\bfetch\(|from 'undici'|from 'node:(http|https|net|tls)'|console\./.exec(text)?.[0] }).toEqual({
          file,
          bad: undefined,
        });
      }
    }
  });
});
