import { parseRole, ROLES } from '@omg/domain';
import { z } from 'zod';

/** Pieces that several resources of the admin API share. Inputs ignore unknown fields and refuse wrong types. */

export const PAGE_LIMIT_MAX = 200;
/** Deeper pages cost the database more than anybody reads: use filters instead. */
export const PAGE_OFFSET_MAX = 100_000;

export const uuidSchema = z.uuid();
export const timeSchema = z.iso.datetime({ offset: true });

/** Text from a person: no NUL, which Postgres cannot store, and no other control characters. */
export function text(charsMax: number, charsMin = 1) {
  return z
    .string()
    .trim()
    .min(charsMin)
    .max(charsMax)
    .refine((value) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(value), 'must not hold control characters');
}

/** Compared and stored in lower case. */
export const emailSchema = text(320)
  .pipe(z.email())
  .transform((value) => value.toLowerCase());

/** Any case in, lower case out. */
export const roleSchema = z
  .string()
  .transform((value, context) => {
    const role = parseRole(value);
    if (!role) context.addIssue({ code: 'custom', message: `must be one of ${ROLES.join(', ')}` });
    return role ?? z.NEVER;
  })
  .pipe(z.enum(ROLES));

/** `limit` and `offset` of a list, from the query string. */
export function pagingShape(limitDefault: number) {
  return {
    limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(limitDefault),
    offset: z.coerce.number().int().min(0).max(PAGE_OFFSET_MAX).default(0),
  };
}

/** A list without filters. */
export const pagingSchema = z.object(pagingShape(50));

export const pageShape = { limit: z.int(), offset: z.int(), total: z.int() };

export const adminErrorSchema = z.object({ error: z.string(), code: z.string() });
