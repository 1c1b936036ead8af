import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { ColumnTypeEnum, bindMigrationAwareSqlAdapterFactory, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg';
import type pg from 'pg';

/**
 * Prisma's own schema engine, as WebAssembly inside this process: no download, no binary, so that clusters without
 * internet access can migrate. The CLI of Prisma 7 would fetch a native engine first.
 */

// Node's types leave WebAssembly to the DOM's, which this repository does not load.
interface WebAssemblyLoader {
  instantiate(bytes: Uint8Array, imports: Record<string, object>): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
}
const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyLoader }).WebAssembly;

type EngineModule = typeof import('@prisma/schema-engine-wasm/schema_engine_bg');

let loaded: Promise<EngineModule> | undefined;

async function loadEngine(): Promise<EngineModule> {
  const entry = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bindings = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  // Where the engine leaves the text of a panic; without it the panic itself would fail.
  (globalThis as { PRISMA_WASM_PANIC_REGISTRY?: object }).PRISMA_WASM_PANIC_REGISTRY = {
    set_message(message: string) {
      throw new Error(`the schema engine panicked: ${message}`);
    },
  };
  const bytes = readFileSync(join(dirname(entry), 'schema_engine_bg.wasm'));
  const { instance } = await webAssembly.instantiate(bytes, { './schema_engine_bg.js': withoutLingeringTimers(bindings) });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return bindings;
}

/** The engine's ten-second deadlines are never cancelled; they shall not keep a finished process alive. */
function withoutLingeringTimers(bindings: object): object {
  const entries = Object.entries(bindings) as [string, (...args: unknown[]) => unknown][];
  const wrapped = entries.map(([name, binding]) => {
    if (!name.startsWith('__wbg_setTimeout_')) return [name, binding];
    return [name, (...args: unknown[]) => (binding(...args) as NodeJS.Timeout).unref()];
  });
  return Object.fromEntries(wrapped) as object;
}

/**
 * Two repairs of the adapter. It splits scripts at each semicolon, which breaks function bodies; sent whole, a script is
 * one simple query: Postgres reads it properly and runs it as one transaction, so a migration applies fully or not at
 * all. And it does not know the type of the catalog's "char" columns, which the engine reads to compare schemas.
 */
class MigrationAdapter extends PrismaPg {
  override async connect() {
    return repaired(await super.connect());
  }

  override async connectToShadowDb() {
    return repaired(await super.connectToShadowDb());
  }
}

/** `"char"` and its array in pg_type. */
const CHAR_OID = 18;
const CHAR_ARRAY_OID = 1002;

interface AdapterInside {
  underlyingDriver(): pg.Pool;
  performIO(query: unknown): Promise<pg.QueryArrayResult>;
}

function repaired<T extends SqlDriverAdapter>(adapter: T): T {
  const inside = adapter as unknown as AdapterInside;
  const driver = inside.underlyingDriver();
  adapter.executeScript = async (script: string) => {
    await driver.query(script);
  };
  // The engine wants "char" columns told as characters. The adapter knows only their arrays, which the engine never asks
  // for: named so on the way in, they can be renamed on the way out.
  const performIo = inside.performIO.bind(adapter);
  inside.performIO = async (query) => {
    const result = await performIo(query);
    for (const field of result.fields) if (field.dataTypeID === CHAR_OID) field.dataTypeID = CHAR_ARRAY_OID;
    return result;
  };
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query);
    return { ...result, columnTypes: result.columnTypes.map((type) => (type === ColumnTypeEnum.CharacterArray ? ColumnTypeEnum.Character : type)) };
  };
  return adapter;
}

export interface SchemaFile {
  path: string;
  content: string;
}

/** Runs `work` with an engine bound to the database, and closes its connections. */
export async function withSchemaEngine<T>(databaseUrl: string, schema: SchemaFile, work: (engine: SchemaEngine) => Promise<T>): Promise<T> {
  const bindings = await (loaded ??= loadEngine());
  const adapters: SqlDriverAdapter[] = [];
  const factory = new MigrationAdapter({ connectionString: databaseUrl, max: 1, application_name: 'omg-migrate' });
  const connect = factory.connect.bind(factory);
  factory.connect = async () => {
    const adapter = await connect();
    adapters.push(adapter);
    return adapter;
  };
  const engine = await bindings.SchemaEngine.new(
    { datamodels: [[schema.path, schema.content]] },
    () => undefined,
    bindMigrationAwareSqlAdapterFactory(factory),
  );
  try {
    return await work(engine);
  } finally {
    engine.free();
    for (const adapter of adapters) await adapter.dispose();
  }
}
