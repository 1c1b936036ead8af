import { CommanderError } from 'commander';
import { AdminApiError } from './client.js';

const REFUSED = 1;
const NOT_UNDERSTOOD = 2;

/** 0 for help that was asked for, 2 for what was not understood, 1 for everything that the API refused or that did not reach it. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof CommanderError)) return REFUSED;
  return error.code === 'commander.helpDisplayed' || error.code === 'commander.version' ? 0 : NOT_UNDERSTOOD;
}

/** What to tell; undefined when commander has told it. */
export function problemOf(error: unknown): string | undefined {
  // An argument that an action refused is only thrown; one that the parser refused is printed as well.
  if (error instanceof CommanderError) return error.code === 'commander.invalidArgument' && !error.message.startsWith('error:') ? error.message : undefined;
  if (error instanceof AdminApiError) return `${error.message} (${error.status} ${error.code})`;
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'the admin API did not answer in time';
  const cause = error.cause instanceof Error ? error.cause.message || (error.cause as { code?: string }).code : undefined;
  return error.message === 'fetch failed' ? `the admin API cannot be reached: ${cause ?? 'unknown'}` : error.message;
}
