// Writes the generated page: pnpm generate.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PROVIDER_REFERENCE_FILE, providerReference } from './provider-reference.js';

const file = join(import.meta.dirname, '../../../..', PROVIDER_REFERENCE_FILE);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, providerReference());
