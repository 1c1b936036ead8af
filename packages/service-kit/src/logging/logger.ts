import pino, { type DestinationStream, type Logger } from 'pino';
import { REDACTED_NAMES, redactor, scrub } from './redaction.js';

export type { Logger };

export interface LoggerOptions {
  service: string;
  level?: string;
  /** Only for tests of this very rule: an empty list is refused. */
  redact?: readonly string[];
  destination?: DestinationStream;
}

const CAUSES_MAX = 4;

/** JSON lines on stdout. Refuses to start without a redaction list. */
export function createLogger(options: LoggerOptions): Logger {
  const names = options.redact ?? REDACTED_NAMES;
  if (names.length === 0) throw new Error('refusing to log without a redaction list');
  const redact = redactor(names);
  return pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redact },
      // What a child of the logger always tells passes these only.
      serializers: { ...Object.fromEntries(names.map((name) => [name, () => '[redacted]'])), err: describeError, error: describeError },
    },
    options.destination ?? pino.destination({ fd: 1, sync: false }),
  );
}

const LOG_END_MAX_MS = 500;

/**
 * Writes what is still on its way and ends the log; resolves after half a second at the latest, since nobody may read stdout.
 * pino's own flush does not wait for a line that is being written, and a process that ends then loses its last words.
 * Connections may still break after it; their lines are dropped, for the ended stream would throw at whoever writes one.
 */
export function endLog(logger: Logger): Promise<void> {
  const stream = (logger as unknown as Record<symbol, DestinationStream & Partial<Pick<ReturnType<typeof pino.destination>, 'end' | 'once'>>>)[
    pino.symbols.streamSym
  ];
  return new Promise((resolve) => {
    setTimeout(resolve, LOG_END_MAX_MS);
    if (!stream?.end || !stream.once) return resolve();
    stream.once('close', () => resolve());
    stream.end();
    stream.write = () => undefined;
  });
}

export interface DescribedError {
  type: string;
  message: string;
  code?: string;
  status?: number;
  internal?: string;
  stack?: string;
  cause?: DescribedError;
}

/**
 * An error as the log shows it. Only known fields: drivers hang commands, parameters and rows on their errors, which would
 * carry prompts and keys into the log.
 */
export function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: scrub(String(error)) };
  const extra = error as Error & { code?: unknown; status?: unknown; internal?: unknown };
  return {
    type: error.name,
    message: scrub(error.message),
    ...(typeof extra.code === 'string' ? { code: extra.code } : {}),
    ...(typeof extra.status === 'number' ? { status: extra.status } : {}),
    ...(typeof extra.internal === 'string' ? { internal: scrub(extra.internal) } : {}),
    ...(error.stack ? { stack: scrub(error.stack, 4000) } : {}),
    ...(error.cause !== undefined && depth < CAUSES_MAX ? { cause: describeError(error.cause, depth + 1) } : {}),
  };
}
