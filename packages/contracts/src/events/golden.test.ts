import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { z } from 'zod';
import { attemptRecordSchema } from './attempt-record.js';
import { deadLetterSchema } from './dead-letter.js';
import { routeOutcomeSchema } from './route-outcome.js';
import { usageBatchSchema, usageEventSchema } from './usage-event.js';

/**
 * Messages outlive the process that wrote them: a stream, Redis or a spool file may hold them over an upgrade. The golden
 * files are such messages. They are never changed; a new version adds a file.
 */
const FOLDER = join(import.meta.dirname, '__golden__');
const SCHEMAS: Record<string, z.ZodType> = {
  'attempt-record.v1.json': attemptRecordSchema,
  'dead-letter.v1.json': deadLetterSchema,
  'route-outcome.v1.json': routeOutcomeSchema,
  'usage-batch-billed-attempts.v1.json': usageBatchSchema,
  'usage-batch.v1.json': usageBatchSchema,
};

const golden = (name: string): unknown => JSON.parse(readFileSync(join(FOLDER, name), 'utf8'));

describe('messages of earlier releases', () => {
  it('each have a schema that still reads them', () => {
    expect(readdirSync(FOLDER).toSorted()).toEqual(Object.keys(SCHEMAS));
  });

  it.each(Object.entries(SCHEMAS))('%s is read without losing a field', (name, schema) => {
    expect(schema.parse(golden(name))).toEqual(golden(name));
  });

  it.each(['usage-batch.v1.json', 'usage-batch-billed-attempts.v1.json'])('%s holds usage events that are read without losing a field', (name) => {
    const { events } = golden(name) as { events: unknown[] };
    expect(events.map((event) => usageEventSchema.parse(event))).toEqual(events);
  });

  it('may have fields that this release does not know', () => {
    const batch = golden('usage-batch.v1.json') as { events: object[] };
    expect(usageEventSchema.safeParse({ ...batch.events[0], fieldOfTomorrow: 1 }).success).toBe(true);
    expect(usageBatchSchema.safeParse({ ...batch, fieldOfTomorrow: 1 }).success).toBe(true);
  });
});
