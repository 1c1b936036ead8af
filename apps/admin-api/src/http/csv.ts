import { createParamDecorator, StreamableFile, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';

/** True when the caller wants rows rather than an object: `?format=csv`, or an Accept header that names text/csv first. */
export const WantsCsv = createParamDecorator((_data: unknown, context: ExecutionContext): boolean => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const { format } = request.query as { format?: unknown };
  if (format !== undefined) return format === 'csv';
  return /^\s*text\/csv\b/i.test(request.headers.accept ?? '');
});

export type CsvCell = string | number | boolean | bigint | null | undefined;
export type CsvRow = Readonly<Record<string, CsvCell>>;

/** Rows per chunk: small enough that a slow reader holds little, large enough to be cheap. */
const CHUNK_ROWS = 200;

/**
 * Streams rows as they come; memory is bounded by one page of the source. What is wrong with a request shows at its first rows:
 * they are read before the answer begins, while it can still be an error.
 */
export async function csvFile(name: string, columns: readonly string[], rows: Iterable<CsvRow> | AsyncIterable<CsvRow>): Promise<StreamableFile> {
  const chunks = lines(columns, rows);
  const first = await chunks.next();
  const all = async function* (): AsyncGenerator<string> {
    if (!first.done) yield first.value;
    yield* chunks;
  };
  return new StreamableFile(Readable.from(all()), { type: 'text/csv; charset=utf-8', disposition: `attachment; filename="${name}.csv"` });
}

async function* lines(columns: readonly string[], rows: Iterable<CsvRow> | AsyncIterable<CsvRow>): AsyncGenerator<string> {
  let chunk = `${columns.join(',')}\r\n`;
  let count = 0;
  for await (const row of rows) {
    chunk += `${columns.map((column) => csvCell(row[column])).join(',')}\r\n`;
    if (++count % CHUNK_ROWS > 0) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk) yield chunk;
}

/** RFC 4180; text that a spreadsheet would run as a formula gets a leading apostrophe. */
export function csvCell(value: CsvCell): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
