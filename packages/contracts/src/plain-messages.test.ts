import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import './plain-messages.js';

const said = (schema: z.ZodType, input: unknown): string =>
  schema
    .safeParse(input)
    .error!.issues.map(({ message }) => message)
    .join('; ');

describe('what is said of an input that does not fit', () => {
  it.each<[z.ZodType, unknown, string]>([
    [z.string(), undefined, 'is required'],
    [z.enum(['a', 'b']), undefined, 'is required'],
    [z.object({}), undefined, 'is required'],
    [z.string(), 7, 'must be text'],
    [z.number(), 'x', 'must be a number'],
    [z.int(), 1.5, 'must be a whole number'],
    [z.boolean(), 'yes', 'must be true or false'],
    [z.array(z.string()), {}, 'must be a list'],
    [z.object({}), 'x', 'must be an object'],
    [z.enum(['a', 'b']), 'c', 'must be one of a, b'],
    [z.literal(1), 2, 'must be 1'],
    [z.email(), 'x', 'must be a mail address'],
    [z.uuid(), 'x', 'must be a UUID'],
    [z.iso.datetime({ offset: true }), 'x', 'must be a time with its zone, such as 2026-03-01T00:00:00Z'],
    [z.string().min(1), '', 'must not be empty'],
    [z.string().min(8), 'short', 'must have at least 8 characters'],
    [z.string().max(3), 'long', 'must have at most 3 characters'],
    [z.array(z.string()).max(2), ['a', 'b', 'c'], 'must have at most 2 items'],
    [z.number().min(1), 0, 'must be 1 or more'],
    [z.number().positive(), 0, 'must be above 0'],
    [z.number().max(9), 10, 'must be 9 or less'],
  ])('%#: %j', (schema, input, text) => {
    expect(said(schema, input)).toBe(text);
  });

  it("is a schema's own text where it has one", () => {
    expect(said(z.string().regex(/x/, 'must have an x'), 'y')).toBe('must have an x');
  });
});
