import { parseArgs } from 'node:util';

export interface VerifyArguments {
  /** Costs are recomputed for so many days; undefined: for all that are kept. */
  days: number | undefined;
  waitSeconds: number;
  running: boolean;
  config: string | undefined;
}

/** What was typed is not understood; the text says what is. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const WAIT_SECONDS_DEFAULT = '10';
const WAIT_SECONDS_MAX = 86_400;
const DAYS_MAX = 36_600;
const OPTIONS = {
  days: { type: 'string' },
  wait: { type: 'string', default: WAIT_SECONDS_DEFAULT },
  running: { type: 'boolean', default: false },
  config: { type: 'string' },
} as const;

/** Throws a UsageError for everything but the options of `./omg verify`. */
export function readVerifyArguments(args: readonly string[]): VerifyArguments {
  const { days, wait, running, config } = parse(args);
  return {
    days: days === undefined ? undefined : wholeNumber('--days', days, 1, DAYS_MAX),
    waitSeconds: wholeNumber('--wait', wait, 0, WAIT_SECONDS_MAX),
    running,
    config,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    // Node's texts name what was typed; what follows the first sentence is advice for programmers.
    throw new UsageError(`${(error as Error).message.split(/[.\n]/)[0]}. There are: --days n, --wait seconds, --running, --config file`);
  }
}

function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${option} takes a whole number from ${min} to ${max}, not "${text}"`);
}
