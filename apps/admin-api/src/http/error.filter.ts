import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { AdminError, type AdminErrorCode } from '@omg/contracts';
import { Prisma } from '@omg/database';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isForPerson, pageHeaders, renderNotice } from './page.js';

const RETRY_AFTER_SECONDS = 2;

const TITLES: Partial<Record<AdminErrorCode, string>> = {
  invalid_download_link: 'This download link has expired',
  unauthenticated: 'Not signed in',
  forbidden: 'Not allowed',
  not_found: 'Nothing here',
};

/** Turns whatever was thrown into `{error, code}`, or into a page where a person opened the address. Unknown errors are logged under the request id and answer a bare 500. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger('http');

  catch(thrown: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const error = toAdminError(thrown);
    if (error.status >= 500) this.log(thrown, error, request);
    // A streamed answer has its status already; cutting it is the only honest signal left.
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
    if (error.status === 401) reply.header('www-authenticate', 'Bearer');
    void reply.status(error.status).header('vary', 'accept');
    if (isForPerson(request))
      void pageHeaders(reply).send(
        renderNotice({ title: TITLES[error.code] ?? 'That did not work', text: error.message, detail: `${error.status} ${error.code}` }),
      );
    else void reply.send(error.toBody());
  }

  private log(thrown: unknown, error: AdminError, request: FastifyRequest): void {
    const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
    // Only the kind and the place of an unknown error: database messages can quote values.
    const place = cause.stack
      ?.split('\n')
      .filter((line) => line.startsWith('    at '))
      .slice(0, 6)
      .join('\n');
    const databaseCode = prismaCode(thrown);
    this.logger.error({
      msg: 'request failed',
      code: error.code,
      kind: cause.name,
      databaseCode,
      requestId: request.id,
      method: request.method,
      route: request.routeOptions?.url,
      place,
    });
  }
}

/** Exported for the tests of the mapping. */
export function toAdminError(thrown: unknown): AdminError {
  if (thrown instanceof AdminError) return thrown;
  const database = fromDatabase(thrown);
  if (database) return database;
  if (thrown instanceof HttpException) return fromStatus(thrown.getStatus(), thrown);
  const status = (thrown as { statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) return fromStatus(status, thrown);
  return new AdminError('internal_error', { cause: thrown });
}

function fromStatus(status: number, cause: unknown): AdminError {
  const byStatus: Record<number, AdminErrorCode> = {
    401: 'unauthenticated',
    403: 'forbidden',
    404: 'not_found',
    409: 'conflict',
    413: 'request_too_large',
    414: 'invalid_request',
    415: 'unsupported_media_type',
    422: 'unprocessable',
    429: 'too_many_attempts',
    503: 'unavailable',
  };
  const fastifyCode = (cause as { code?: unknown } | null)?.code;
  if (status === 400 && (cause instanceof SyntaxError || fastifyCode === 'FST_ERR_CTP_INVALID_JSON_BODY' || fastifyCode === 'FST_ERR_CTP_EMPTY_JSON_BODY'))
    return new AdminError('invalid_json', { cause });
  const code = byStatus[status] ?? (status < 500 ? 'invalid_request' : 'internal_error');
  return new AdminError(code, { cause });
}

function prismaCode(thrown: unknown): string | undefined {
  if (thrown instanceof Prisma.PrismaClientKnownRequestError) return thrown.code;
  if (thrown instanceof Prisma.PrismaClientInitializationError) return thrown.errorCode ?? 'init';
  return undefined;
}

const BY_PRISMA_CODE: Record<string, AdminErrorCode> = {
  P2000: 'invalid_request', // a value is too long for its column
  P2002: 'conflict', // unique constraint
  P2003: 'conflict', // foreign key
  P2020: 'invalid_request', // out of range
  P2025: 'not_found',
  P2034: 'version_conflict', // write conflict or deadlock
};
const UNREACHABLE = new Set(['P1000', 'P1001', 'P1002', 'P1003', 'P1008', 'P1011', 'P1017', 'P2024', 'P2028', 'P2037', 'init']);
const SQL_STATES: Record<string, AdminErrorCode> = {
  '22P02': 'invalid_request',
  '22021': 'invalid_request',
  '22003': 'invalid_request',
  '22007': 'invalid_request',
  '40001': 'version_conflict',
  '40P01': 'version_conflict',
};
const CONNECTION_ERRORS =
  /ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EPIPE|Connection terminated|connection timeout|terminating connection|not currently accepting/i;

function fromDatabase(thrown: unknown): AdminError | undefined {
  const code = prismaCode(thrown);
  const unavailable = () => new AdminError('unavailable', { retryAfterSeconds: RETRY_AFTER_SECONDS, cause: thrown });
  if (code !== undefined) {
    if (UNREACHABLE.has(code)) return unavailable();
    const known = BY_PRISMA_CODE[code];
    if (known) return new AdminError(known, { cause: thrown });
  }
  const sqlState = driverSqlState(thrown);
  if (sqlState !== undefined) {
    const known = SQL_STATES[sqlState];
    if (known) return new AdminError(known, { cause: thrown });
    // Classes 08 (connection), 53 (resources) and 57 (operator intervention) pass by themselves.
    if (/^(08|53|57)/.test(sqlState)) return unavailable();
  }
  if (thrown instanceof Error && CONNECTION_ERRORS.test(`${thrown.message} ${(thrown as { code?: string }).code ?? ''}`)) return unavailable();
  return undefined;
}

/** SQLSTATE of a raw query's error, wherever Prisma's driver adapter or pg put it. */
function driverSqlState(thrown: unknown): string | undefined {
  const nested = thrown as { code?: unknown; meta?: { code?: unknown; driverAdapterError?: { cause?: { originalCode?: unknown } } } } | null;
  const candidates = [nested?.meta?.driverAdapterError?.cause?.originalCode, nested?.meta?.code, nested?.code];
  return candidates.find(
    (value): value is string => typeof value === 'string' && /^[0-9A-Z]{5}$/.test(value) && !value.startsWith('P1') && !value.startsWith('P2'),
  );
}
