import type { z } from 'zod';

/** The echo that every paged list carries. `total` counts after the filters. */
export function page<T extends object>(query: { limit: number; offset: number }, total: number, rows: T): T & { limit: number; offset: number; total: number } {
  return { ...rows, limit: query.limit, offset: query.offset, total };
}

/** Prisma's arguments for a page. */
export function slice(query: { limit: number; offset: number }): { take: number; skip: number } {
  return { take: query.limit, skip: query.offset };
}

/** The parsed value of a schema, for handler parameters. */
export type Parsed<T extends z.ZodType> = z.output<T>;
