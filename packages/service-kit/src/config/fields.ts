import { z } from 'zod';
import { asFlag, asNumber } from './coerce.js';
import { DURATION_MAX_MS, parseDurationMs } from './duration.js';

/**
 * The vocabulary of the configuration schema. A section is a `z.object` of leaves and nested sections; every leaf says what
 * it means, and the loader, the environment mapping, the reference page and the sample file all come from that one walk.
 */
export interface LeafDetails {
  /** One sentence for the reference: meaning, unit, reason of the default. */
  about: string;
  /** Never printed; refused when it looks like a placeholder, unless the profile is demo or development. */
  secret?: boolean;
  /** What the sample file shows when there is no default. */
  example?: unknown;
}

export type LeafKind = 'text' | 'integer' | 'number' | 'flag' | 'duration' | 'list' | 'json';

export interface LeafMeta extends LeafDetails {
  kind: LeafKind;
}

export const leafRegistry = z.registry<LeafMeta>();
const durations = new WeakSet<object>();

/** Marks a schema as a leaf of the configuration. */
export function leaf<S extends z.ZodType>(schema: S, details: LeafDetails): S {
  leafRegistry.add(schema, { ...details, kind: kindOf(schema) } as never);
  return schema;
}

/** A duration; the value is milliseconds, and the key of the loaded config ends in `Ms`. */
export function duration(limits: { min?: number; max?: number } = {}) {
  const schema = z
    .number()
    .min(limits.min ?? 0, 'is too short')
    .max(limits.max ?? DURATION_MAX_MS, 'is too long')
    .brand<'DurationMs'>();
  durations.add(schema);
  return schema;
}

/** Default of a duration, written as in the file. */
export function durationOf(text: string): number & z.core.$brand<'DurationMs'> {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new RangeError(`not a duration: ${text}`);
  return ms as number & z.core.$brand<'DurationMs'>;
}

/** A span that no timer waits for, such as the life of a token: up to ten years. */
export const longDuration = () => duration({ min: 1, max: 10 * 366 * 86_400_000 });
export const positiveDuration = () => duration({ min: 1 });
/** A trimmed text that may be empty. */
export const text = () => z.string().trim();
export const flag = () => z.boolean();
/** For entries of lists and maps, which the leaves' own coercion does not reach: `"${BUDGET}"` is a number there too. */
export const numeric = <S extends z.ZodType>(schema: S) => z.preprocess(asNumber, schema);
export const boolean = () => z.preprocess(asFlag, z.boolean());
export const list = () => z.array(z.string().trim().min(1)).max(1000);

/** Looks through default() and optional(). */
export function unwrap(schema: z.ZodType): z.ZodType {
  let inner: z.ZodType = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodOptional) inner = inner.unwrap() as z.ZodType;
  return inner;
}

function kindOf(schema: z.ZodType): LeafKind {
  const inner = unwrap(schema);
  if (durations.has(inner)) return 'duration';
  if (inner instanceof z.ZodNumber) return inner.isInt ? 'integer' : 'number';
  if (inner instanceof z.ZodBoolean) return 'flag';
  if (inner instanceof z.ZodString || inner instanceof z.ZodEnum) return 'text';
  if (inner instanceof z.ZodArray && isTexts(inner.element as z.ZodType)) return 'list';
  return 'json';
}

function isTexts(element: z.ZodType): boolean {
  return element instanceof z.ZodString || element instanceof z.ZodEnum;
}
