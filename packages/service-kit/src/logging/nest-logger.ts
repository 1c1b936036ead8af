import type { LoggerService } from '@nestjs/common';
import { scrub } from './redaction.js';
import type { Logger } from './logger.js';

/** Nest's own messages as JSON lines; its start-up chatter only at debug. */
export function nestLogger(logger: Logger): LoggerService {
  const write =
    (level: 'debug' | 'warn' | 'error' | 'fatal') =>
    (message: unknown, ...rest: unknown[]) => {
      const context = rest.findLast((item) => typeof item === 'string');
      const err = message instanceof Error ? message : rest.find((item) => item instanceof Error);
      logger[level]({ context, ...(err ? { err } : {}) }, scrub(typeof message === 'string' ? message : ((err as Error | undefined)?.message ?? 'nest')));
    };
  return { log: write('debug'), debug: write('debug'), verbose: write('debug'), warn: write('warn'), error: write('error'), fatal: write('fatal') };
}
