import { Inject, Injectable } from '@nestjs/common';
import { AdminError, type requestLogQuerySchema, type requestLogSchema } from '@omg/contracts';
import { isUuidV7, microsFromNanoUsd, usdFromNanoUsd, uuidV7UnixMs } from '@omg/domain';
import type { Prisma, PrismaClient } from '@omg/database';
import type { z } from 'zod';
import type { CsvRow } from '../http/csv.js';
import type { Parsed } from '../http/paging.js';
import type { Principal } from '../http/principal.js';
import { PRISMA } from '../http/tokens.js';
import { ReportContext } from './report-context.js';
import { rangeBody, type ReportRange } from './report-range.js';

type Query = Parsed<typeof requestLogQuerySchema>;
export type RequestLogEntry = z.output<typeof requestLogSchema>['requests'][number];

const EXPORT_PAGE_ROWS = 1_000;
/** An export ends here: whoever wants more narrows the range. */
const EXPORT_ROWS_MAX = 1_000_000;

/**
 * The log of requests, newest first. Pages go by the last id seen, not by an offset: page 1,000 costs as much as page 1, and
 * rows that arrive meanwhile shift nothing. The id is a UUIDv7, so it holds the time that the rows are ordered by.
 */
@Injectable()
export class RequestLogService {
  constructor(
    @Inject(PRISMA) private readonly prisma: PrismaClient,
    private readonly context: ReportContext,
  ) {}

  async list(caller: Principal, query: Query) {
    const range = await this.context.range(query, '1d');
    const where = this.where(caller, query, range);
    const rows = await this.page(where, query.cursor, query.limit + 1);
    const requests = rows.slice(0, query.limit);
    return { ...rangeBody(range), requests, limit: query.limit, next_cursor: rows.length > query.limit ? requests.at(-1)!.id : null };
  }

  /** All rows of the filters, page by page. */
  private async *rows(caller: Principal, query: Query): AsyncGenerator<RequestLogEntry> {
    const range = await this.context.range(query, '1d');
    const where = this.where(caller, query, range);
    let cursor = query.cursor;
    for (let count = 0; count < EXPORT_ROWS_MAX;) {
      const rows = await this.page(where, cursor, EXPORT_PAGE_ROWS);
      yield* rows;
      count += rows.length;
      if (rows.length < EXPORT_PAGE_ROWS) return;
      cursor = rows.at(-1)!.id;
    }
  }

  async *csvRows(caller: Principal, query: Query): AsyncGenerator<CsvRow> {
    for await (const { attempts, ...row } of this.rows(caller, query)) yield { ...row, attempt_count: attempts.length };
  }

  private where(caller: Principal, query: Query, range: ReportRange): Prisma.RequestWhereInput {
    const tenantIds = this.context.scope(caller, query.tenant_id);
    const statusClass = query.status_class === undefined ? undefined : Number(query.status_class[0]) * 100;
    return {
      ts: { gte: new Date(range.startMs), lt: new Date(range.endMs) },
      ...(tenantIds && { tenantId: tenantIds.length === 1 ? tenantIds[0]! : { in: tenantIds } }),
      apiKeyId: query.api_key_id,
      modelAlias: query.model_alias,
      provider: query.provider,
      operation: query.operation,
      errorCode: query.error_code,
      traceId: query.request_id,
      ...(query.status !== undefined && { status: query.status }),
      ...(query.status === undefined && statusClass !== undefined && { status: { gte: statusClass, lt: statusClass + 100 } }),
      ...(query.latency_min_ms !== undefined && { latencyMs: { gte: query.latency_min_ms } }),
    };
  }

  private async page(where: Prisma.RequestWhereInput, cursor: string | undefined, take: number): Promise<RequestLogEntry[]> {
    const rows = await this.prisma.request.findMany({
      where: cursor === undefined ? where : { AND: [where, after(cursor)] },
      orderBy: [{ ts: 'desc' }, { id: 'desc' }],
      take,
    });
    return rows.map(entry);
  }
}

function after(cursor: string): Prisma.RequestWhereInput {
  if (!isUuidV7(cursor)) throw new AdminError('invalid_request', { message: 'cursor: must be the next_cursor of a page' });
  const ts = new Date(uuidV7UnixMs(cursor));
  // The first condition bounds the index scan; the second decides among rows of the same millisecond.
  return { ts: { lte: ts }, OR: [{ ts: { lt: ts } }, { id: { lt: cursor } }] };
}

function entry(row: Prisma.RequestGetPayload<object>): RequestLogEntry {
  return {
    id: row.id,
    request_id: row.traceId,
    created_at: row.ts.toISOString(),
    tenant_id: row.tenantId,
    api_key_id: row.apiKeyId,
    operation: row.operation,
    model_alias: row.modelAlias,
    provider: row.provider,
    route_id: row.routeId,
    stream: row.stream,
    status: row.status,
    error_code: row.errorCode,
    latency_ms: row.latencyMs,
    ttft_ms: row.ttftMs,
    attempts: Array.isArray(row.attempts) ? (row.attempts as Record<string, unknown>[]) : [],
    input_tokens: row.inputTokens,
    output_tokens: row.outputTokens,
    cost_usd: row.costNano === null ? null : Number(usdFromNanoUsd(row.costNano)),
    cost_usd_micros: row.costNano === null ? null : Number(microsFromNanoUsd(row.costNano)),
    idempotency_key: row.idempotencyKey,
  };
}

export const REQUEST_COLUMNS = [
  'created_at',
  'id',
  'request_id',
  'tenant_id',
  'api_key_id',
  'operation',
  'model_alias',
  'provider',
  'route_id',
  'stream',
  'status',
  'error_code',
  'latency_ms',
  'ttft_ms',
  'attempt_count',
  'input_tokens',
  'output_tokens',
  'cost_usd',
  'cost_usd_micros',
] as const;
