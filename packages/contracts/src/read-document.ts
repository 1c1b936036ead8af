import type { z } from 'zod';

/** A text from the bus as its schema reads it; undefined where it cannot be read: what is known stays, and a newer sender breaks nobody. */
export function readDocument<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
