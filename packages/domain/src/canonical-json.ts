/** JSON with sorted keys; bigint as decimal text, dates in ISO form, undefined left out. Equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(normalise(value, 0));
}

/** As deep as a request's body may be; the bound is for the stack. */
const DEPTH_MAX = 128;

function normalise(value: unknown, depth: number): unknown {
  if (depth > DEPTH_MAX) throw new RangeError('the value is nested too deeply');
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item) => normalise(item, depth + 1));
  // Prisma's decimals and the like say how they want to be written.
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return (value as { toJSON: () => unknown }).toJSON();
  const out: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value).sort()) {
    const item = (value as Record<string, unknown>)[key];
    if (item !== undefined) out[key] = normalise(item, depth + 1);
  }
  return out;
}
