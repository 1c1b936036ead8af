import { z } from 'zod';
import { leafRegistry, type LeafMeta } from './fields.js';
import { adminSection } from './sections/admin.js';
import { bootstrapSection } from './sections/bootstrap.js';
import { modelCatalog, type CatalogItem } from './sections/catalog.js';
import { budgetsSection, rateLimitsSection, reportingSection, retentionSection } from './sections/governance.js';
import { healthSection, observabilitySection, secretsSection, securitySection } from './sections/operations.js';
import { providersSection } from './sections/providers.js';
import { serverSection } from './sections/server.js';
import { edgeSection, meteringSection, monitorSection, recorderSection } from './sections/services.js';
import { databaseSection, natsSection, redisSection } from './sections/stores.js';
import { leaf } from './fields.js';

/** The whole configuration, in the order of the reference page. */
export const configSchema = z.object({
  profile: leaf(z.enum(['production', 'development', 'demo']).default('production'), {
    about: 'In `production` a service does not start with an empty, short or well-known secret; the others fill missing ones with well-known values.',
  }),
  server: serverSection,
  database: databaseSection,
  redis: redisSection,
  nats: natsSection,
  secrets: secretsSection,
  security: securitySection,
  rate_limits: rateLimitsSection,
  budgets: budgetsSection,
  reporting: reportingSection,
  retention: retentionSection,
  health: healthSection,
  observability: observabilitySection,
  admin: adminSection,
  edge: edgeSection,
  metering: meteringSection,
  recorder: recorderSection,
  monitor: monitorSection,
  providers: providersSection,
  bootstrap: bootstrapSection,
  model_catalog: modelCatalog,
});

export type SectionName = keyof typeof configSchema.shape;

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;
type IsDuration<T> = NonNullable<T> extends z.core.$brand<'DurationMs'> ? true : false;
type KeyOf<K, T> = K extends string ? (IsDuration<T> extends true ? `${Camel<K>}Ms` : Camel<K>) : never;
type ValueOf<S> =
  S extends z.ZodObject<infer Shape> ? Section<Shape> : S extends z.ZodType ? (IsDuration<z.output<S>> extends true ? number : z.output<S>) : never;
type Section<Shape> = { -readonly [K in keyof Shape as KeyOf<K, Shape[K] extends z.ZodType ? z.output<Shape[K]> : never>]: ValueOf<Shape[K]> };

/** Keys in camel case; durations are milliseconds and their keys end in `Ms`: `server.sync_timeout` is `server.syncTimeoutMs`. */
export type Config = Omit<Section<typeof configSchema.shape>, 'modelCatalog'> & { modelCatalog: CatalogItem[] };
export type ConfigOf<S extends SectionName> = Pick<Config, Extract<Camel<S | 'profile' | 'observability'>, keyof Config>>;

export interface Leaf {
  path: readonly string[];
  /** `server.sync_timeout` */
  dotted: string;
  /** `ROUTER_SERVER_SYNC_TIMEOUT` */
  variable: string;
  /** Older or shorter names of the variable. */
  aliases: readonly string[];
  schema: z.ZodType;
  meta: LeafMeta;
}

const ALIASES: Readonly<Record<string, readonly string[]>> = { 'database.url': ['ROUTER_DB_URL'] };

export function variableOf(dotted: string): string {
  return `ROUTER_${dotted.toUpperCase().replaceAll('.', '_')}`;
}

/** Every leaf of the schema, in order. */
export function leavesOf(schema: z.ZodObject = configSchema, prefix: readonly string[] = []): Leaf[] {
  return Object.entries(schema.shape).flatMap(([key, child]) => {
    const path = [...prefix, key];
    if (child instanceof z.ZodObject) return leavesOf(child, path);
    const meta = leafRegistry.get(child as z.ZodType);
    const dotted = path.join('.');
    if (!meta) throw new Error(`configuration field without description: ${dotted}`);
    return [{ path, dotted, variable: variableOf(dotted), aliases: ALIASES[dotted] ?? [], schema: child as z.ZodType, meta }];
  });
}

/** Where a leaf's value lies in a loaded configuration: camel case, durations with `Ms`. */
export function configPathOf({ path, meta }: Leaf): string[] {
  const camel = path.map(camelCase);
  if (meta.kind === 'duration') camel.push(`${camel.pop()!}Ms`);
  return camel;
}

export function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Sections of the original's configuration that this gateway does not have. */
export const UNSUPPORTED_SECTIONS: ReadonlySet<string> = new Set(['files', 'audio', 'batches']);
