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

/** A whole number in a query string, in plain digits: "1e2", "0x10" and "" are none. */
export function wholeNumber(min: number, max: number) {
  return numberInQuery(/^-?\d{1,15}$/, 'must be a whole number', z.int().min(min).max(max)).meta({ type: 'integer', minimum: min, maximum: max });
}

/** The same with a fraction. */
export function decimalNumber(min: number, max: number) {
  return numberInQuery(/^-?\d{1,9}(\.\d{1,6})?$/, 'must be a number', z.number().min(min).max(max)).meta({ type: 'number', minimum: min, maximum: max });
}

/** Its input type is a number, as clients and the OpenAPI document have it; on the wire every query value is text. */
function numberInQuery(form: RegExp, message: string, value: z.ZodNumber | z.ZodInt) {
  const written = z.custom<number>((input) => typeof input === 'string' && form.test(input), message).transform(Number);
  return written.pipe(value as z.ZodType<number, number>);
}

/** `limit` and `offset` of a list, from the query string. */
export function pagingShape(limitDefault: number) {
  return {
    limit: wholeNumber(1, PAGE_LIMIT_MAX).default(limitDefault),
    offset: wholeNumber(0, PAGE_OFFSET_MAX).default(0),
  };
}

/** A list without filters. */
export const pagingSchema = z.object(pagingShape(50));

export const pageShape = { limit: z.int(), offset: z.int(), total: z.int() };

/** Of what also comes as CSV. */
export const formatShape = { format: z.enum(['json', 'csv']).optional() };

export const adminErrorSchema = z.object({ error: z.string(), code: z.string() });
