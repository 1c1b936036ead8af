import { configKey, modelDocumentSchema, readDocument, type ModelDocument } from '@omg/contracts';
import { RevisionConflictError, type ConfigEntry, type ConfigBucket } from '@omg/storage';
import type { AdminConfig, CatalogContext } from '../config.js';
import { databaseNow } from '../database-now.js';
import { defaultsDocument, keyDocument, modelDocument, tenantDocument } from './documents.js';
import { readDefaultModels, readDefaults, readKeys, readModels, readTenants, type Database } from './documents.queries.js';

/** A thing that the edges know: what an outbox row names. */
export interface ProjectionRef {
  kind: 'defaults' | 'model' | 'tenant' | 'key';
  /** Alias key, tenant id, key prefix; empty for the defaults. */
  ref: string;
}

export interface ProjectionSettings extends CatalogContext {
  config: Pick<AdminConfig, 'rateLimits' | 'budgets' | 'reporting'>;
}

export interface ProjectionResult {
  written: number;
  removed: number;
  unchanged: number;
  /** Somebody else wrote the key meanwhile: to be tried again. */
  conflicts: ProjectionRef[];
  /** Cannot be made from the rows, now or later: told, and left alone, so that it does not hold up the others. */
  impossible: { ref: ProjectionRef; error: unknown }[];
}

type BuildDocument = (previous: Buffer | undefined) => object | undefined;

/** An edge must know a model and a tenant before a key that uses them, and serves once it has the defaults: they come last. */
const PHASES = ['model', 'tenant', 'key', 'defaults'] as const;
const PARALLEL_MAX = 32;
/** Below the 1 MiB that a NATS message may have. */
const DOCUMENT_BYTES_MAX = 1_000_000;

/**
 * Brings documents up to date: reads the revision in the bucket, then the state in Postgres, then writes on the condition
 * that the revision is still the same. A document that would not change is not written.
 */
export async function project(bucket: ConfigBucket, db: Database, settings: ProjectionSettings, refs: readonly ProjectionRef[]): Promise<ProjectionResult> {
  const entries = await inParallel(refs, (ref) => bucket.read(keyOf(ref)));
  const builders = await loadDocuments(db, settings, refs);
  const result: ProjectionResult = { written: 0, removed: 0, unchanged: 0, conflicts: [], impossible: [] };
  const work = refs.map((ref, index) => ({ ref, entry: entries[index]! }));
  for (const phase of PHASES) {
    await inParallel(
      work.filter(({ ref }) => ref.kind === phase),
      ({ ref, entry }) => update(bucket, ref, entry, builders.get(identify(ref)), result),
    );
  }
  return result;
}

async function update(bucket: ConfigBucket, ref: ProjectionRef, entry: ConfigEntry, build: BuildDocument | undefined, result: ProjectionResult): Promise<void> {
  let bytes: Buffer | undefined;
  try {
    const document = build?.(entry.value);
    bytes = document && Buffer.from(JSON.stringify(document));
    if (bytes && bytes.length > DOCUMENT_BYTES_MAX) throw new RangeError(`the document has ${bytes.length} bytes`);
  } catch (error) {
    result.impossible.push({ ref, error });
    return;
  }
  const isSame = bytes ? entry.value?.equals(bytes) === true : entry.value === undefined;
  if (isSame) return void result.unchanged++;
  try {
    if (bytes) await bucket.write(keyOf(ref), bytes, entry.revision);
    else await bucket.remove(keyOf(ref), entry.revision);
    result[bytes ? 'written' : 'removed']++;
  } catch (error) {
    if (!(error instanceof RevisionConflictError)) throw error;
    result.conflicts.push(ref);
  }
}

export function keyOf({ kind, ref }: ProjectionRef): string {
  return kind === 'defaults' ? configKey.defaults : configKey[kind](ref);
}

export const identify = ({ kind, ref }: ProjectionRef): string => `${kind} ${ref}`;

/** What is missing in the result does not exist any more. */
async function loadDocuments(db: Database, settings: ProjectionSettings, refs: readonly ProjectionRef[]): Promise<Map<string, BuildDocument>> {
  const named = (kind: ProjectionRef['kind']) => refs.filter((ref) => ref.kind === kind).map((ref) => ref.ref);
  const now = await databaseNow(db);
  const builders = new Map<string, BuildDocument>();
  const models = named('model');
  const tenants = named('tenant');
  const keys = named('key');
  if (named('defaults').length > 0) {
    const document = defaultsDocument(settings.config, await readDefaults(db));
    builders.set('defaults ', () => document);
  }
  if (models.length > 0)
    for (const row of await readModels(db, models, now))
      builders.set(`model ${row.key}`, (previous) => modelDocument(row, settings, readModelDocument(previous)));
  if (tenants.length > 0) {
    const defaultModels = await readDefaultModels(db);
    for (const row of await readTenants(db, tenants)) builders.set(`tenant ${row.id}`, () => tenantDocument(row, defaultModels));
  }
  if (keys.length > 0) for (const row of await readKeys(db, keys)) builders.set(`key ${row.prefix}`, () => keyDocument(row, now.getTime()));
  return builders;
}

export function readModelDocument(bytes: Buffer | undefined): ModelDocument | undefined {
  return bytes && readDocument(modelDocumentSchema, bytes.toString('utf8'));
}

async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, items.length) }, worker));
  return results;
}
