import { envExample } from './env-example.js';
import { errorsPage } from './errors-page.js';
import { referencePage } from './reference-page.js';
import { sampleFile } from './sample-file.js';

/** What is written from the schema, by path from the repository's root. A test fails when one is not current. */
export const GENERATED_FILES: Readonly<Record<string, () => string>> = {
  'docs/reference/configuration.md': referencePage,
  'docs/reference/errors.md': errorsPage,
  'infra/router.example.yaml': sampleFile,
  '.env.example': envExample,
};
