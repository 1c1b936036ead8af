import { createHash } from 'node:crypto';
import { configKey } from '@omg/contracts';
import type { ConfigBucket } from '@omg/storage';
import { databaseNow } from '../database-now.js';
import { defaultsDocument, keyDocument, modelDocument, tenantDocument } from './documents.js';
import { readDefaultModels, readDefaults, readKeysAfter, readModelsAfter, readTenantsAfter, type Database } from './documents.queries.js';
import { identify, keyOf, readModelDocument, type ProjectionRef, type ProjectionSettings } from './projection.js';

const PAGE = 1000;
const NO_UUID = '00000000-0000-0000-0000-000000000000';

/**
 * Compares the whole bucket with the database and names what differs; the caller projects those again. Finds what an
 * outbox cannot: a bucket that was lost or restored, a document that somebody changed by hand. Memory: a digest per
 * document, and the model documents whole.
 */
export async function findDrift(bucket: ConfigBucket, db: Database, settings: ProjectionSettings): Promise<ProjectionRef[]> {
  const stored = new Map<string, string>();
  const models = new Map<string, Buffer>();
  for await (const { key, value } of bucket.all()) {
    stored.set(key, digest(value));
    if (key.startsWith('model.')) models.set(key, value);
  }
  const drift: ProjectionRef[] = [];
  const expect = (ref: ProjectionRef, document: object | undefined): void => {
    const key = keyOf(ref);
    const found = stored.get(key);
    stored.delete(key);
    if (found !== (document && digest(Buffer.from(JSON.stringify(document))))) drift.push(ref);
  };
  const now = await databaseNow(db);
  for await (const row of pages((last: { key: string } | undefined) => readModelsAfter(db, last?.key ?? '', PAGE, now))) {
    const ref: ProjectionRef = { kind: 'model', ref: row.key };
    expect(ref, modelDocument(row, settings, readModelDocument(models.get(keyOf(ref)))));
  }
  const defaultModels = await readDefaultModels(db);
  for await (const row of pages((last: { id: string } | undefined) => readTenantsAfter(db, last?.id ?? NO_UUID, PAGE)))
    expect({ kind: 'tenant', ref: row.id }, tenantDocument(row, defaultModels));
  for await (const row of pages((last: { prefix: string } | undefined) => readKeysAfter(db, last?.prefix ?? '', PAGE)))
    expect({ kind: 'key', ref: row.prefix }, keyDocument(row, now.getTime()));
  // The edges serve from a bucket that has them: one that was lost must be full by then.
  expect({ kind: 'defaults', ref: '' }, defaultsDocument(settings.config, await readDefaults(db)));
  // What is left belongs to nothing any more.
  const known = new Set(drift.map(identify));
  for (const key of stored.keys()) {
    const ref = refOfKey(key);
    if (ref && !known.has(identify(ref))) drift.push(ref);
  }
  return drift;
}

async function* pages<Row, Cursor extends Row>(read: (last: Row | undefined) => Promise<Cursor[]>): AsyncGenerator<Cursor> {
  let last: Row | undefined;
  for (;;) {
    const rows = await read(last);
    yield* rows;
    if (rows.length < PAGE) return;
    last = rows.at(-1);
  }
}

function refOfKey(key: string): ProjectionRef | undefined {
  if (key === configKey.defaults) return { kind: 'defaults', ref: '' };
  const dot = key.indexOf('.');
  const kind = key.slice(0, dot);
  const token = key.slice(dot + 1);
  if (kind === 'tenant') return /^[0-9a-f-]{36}$/.test(token) ? { kind, ref: token } : undefined;
  if (kind === 'model' || kind === 'key') return { kind, ref: Buffer.from(token, 'base64url').toString('utf8') };
  return undefined;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64');
}
