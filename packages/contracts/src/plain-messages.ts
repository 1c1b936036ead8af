import { z } from 'zod';

/**
 * What zod says of an input that does not fit, in the words of this product: "email: is required" rather than
 * "Invalid input: expected string, received undefined". For every schema of the process that names no text of its own.
 */
z.config({ customError: (issue) => plainMessage(issue as Issue) });

/** The parts of zod's raw issues that are read here. */
interface Issue {
  code?: string;
  input?: unknown;
  expected?: string;
  origin?: string;
  format?: string;
  minimum?: number | bigint;
  maximum?: number | bigint;
  inclusive?: boolean;
  values?: readonly unknown[];
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  bigint: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
};
const FORMATS: Readonly<Record<string, string>> = {
  email: 'a mail address',
  uuid: 'a UUID',
  url: 'an address with its scheme',
  datetime: 'a time with its zone, such as 2026-03-01T00:00:00Z',
};
/** What is counted where a bound is on the length. */
const COUNTED: Readonly<Record<string, string>> = { string: 'characters', array: 'items', set: 'items', map: 'items' };

/** Undefined: zod's own words. */
function plainMessage(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      return mustBe(KINDS[issue.expected ?? '']);
    case 'invalid_format':
      return mustBe(FORMATS[issue.format ?? '']);
    case 'invalid_value':
      return issue.input === undefined
        ? 'is required'
        : `must be ${(issue.values ?? []).length > 1 ? 'one of ' : ''}${(issue.values ?? []).map(String).join(', ')}`;
    case 'too_small':
      return tooSmall(issue);
    case 'too_big':
      return tooBig(issue);
    default:
      return undefined;
  }
}

function mustBe(what: string | undefined): string | undefined {
  return what === undefined ? undefined : `must be ${what}`;
}

function tooSmall({ origin = '', minimum, inclusive }: Issue): string {
  const counted = COUNTED[origin];
  if (counted === undefined) return inclusive ? `must be ${minimum} or more` : `must be above ${minimum}`;
  return Number(minimum) === 1 ? 'must not be empty' : `must have at least ${minimum} ${counted}`;
}

function tooBig({ origin = '', maximum, inclusive }: Issue): string {
  const counted = COUNTED[origin];
  if (counted === undefined) return inclusive ? `must be ${maximum} or less` : `must be below ${maximum}`;
  return `must have at most ${maximum} ${counted}`;
}
