import { GatewayError } from '@omg/contracts';

/**
 * Checks of single body fields. Hand-written, since a schema walk over a whole conversation would cost as much as the
 * rest of the pipeline; fields that nobody here reads are not looked at, they pass to the provider as they are.
 */

export function invalid(param: string, message: string): GatewayError {
  return new GatewayError('invalid_value', { param, message });
}

export function missing(param: string): GatewayError {
  return new GatewayError('missing_required_parameter', { param, message: `Missing required parameter: '${param}'.` });
}

/** Absent and null are the same for optional fields, as the SDKs send either. */
export function optionalNumber(body: Record<string, unknown>, name: string, min: number, max: number, at = name): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw invalid(at, `'${at}' must be a number from ${min} to ${max}.`);
  }
  return value;
}

export function optionalInteger(body: Record<string, unknown>, name: string, min: number, max: number): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(name, `'${name}' must be an integer from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}.`);
  }
  return value as number;
}

/** `at`: the field's path where it does not stand at the top. */
export function optionalBoolean(body: Record<string, unknown>, name: string, at = name): boolean | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw invalid(at, `'${at}' must be a boolean.`);
  return value;
}

export function optionalString(body: Record<string, unknown>, name: string, at = name): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid(at, `'${at}' must be a string.`);
  return value;
}

export function requiredString(body: Record<string, unknown>, name: string, at = name): string {
  const value = optionalString(body, name, at);
  if (value === undefined || value === '') throw missing(at);
  return value;
}

export function optionalObject(body: Record<string, unknown>, name: string): Record<string, unknown> | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw invalid(name, `'${name}' must be an object.`);
  return value;
}

export function optionalEnum<T extends string>(body: Record<string, unknown>, name: string, allowed: readonly T[]): T | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!allowed.includes(value as T)) throw invalid(name, `'${name}' must be one of: ${allowed.join(', ')}.`);
  return value as T;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether arrays and objects nest deeper than `depthMax`, which also bounds the recursion. */
export function nestsDeeperThan(node: unknown, depthMax: number): boolean {
  if (typeof node !== 'object' || node === null) return false;
  if (depthMax === 0) return true;
  if (Array.isArray(node)) {
    for (let i = 0; i < node.length; i++) if (nestsDeeperThan(node[i], depthMax - 1)) return true;
    return false;
  }
  for (const key in node) if (nestsDeeperThan((node as Record<string, unknown>)[key], depthMax - 1)) return true;
  return false;
}

/** What is checked, limited or priced by its name. */
const GOVERNED: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'input',
  'prompt',
  'stream',
  'stream_options',
  'n',
  'max_tokens',
  'max_completion_tokens',
  'tools',
  'functions',
  'dimensions',
  'size',
  'quality',
]);
const PLAIN_NAME = /^[a-z0-9_]*$/;

/**
 * Servers written in Go read names without regard to case: `Model` would take the place of the `model` that was checked, and
 * `Max_Tokens` lift the limit that a budget set. Their folding knows two signs beyond ASCII, those of the kelvin and the long s.
 */
export function refuseLookalikes(body: Record<string, unknown>): void {
  for (const name in body) {
    if (PLAIN_NAME.test(name)) continue;
    const meant = name.toUpperCase().toLowerCase();
    if (!GOVERNED.has(meant)) continue;
    throw new GatewayError('unsupported_parameter', { param: name, message: `'${name}' is not supported; did you mean '${meant}'?` });
  }
}
