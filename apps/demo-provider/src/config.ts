/** Settings of the demo provider; the only file that reads the environment and the command line. */
export interface DemoConfig {
  port: number;
  host: string;
  /** Time to the first token. */
  firstTokenMs: number;
  /** Time per further token of a stream. A whole answer takes a fifth of it per token. */
  tokenMs: number;
  /** When set, calls without this bearer key get 401, as from a real provider. */
  apiKey: string | undefined;
}

function numberFrom(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} must be a number >= 0`);
  return value;
}

/** `--static` (or DEMO_STATIC=1) answers without any delay, for load tests. */
export function readConfig(env: NodeJS.ProcessEnv, args: readonly string[]): DemoConfig {
  const isStatic = args.includes('--static') || env['DEMO_STATIC'] === '1';
  return {
    port: numberFrom(env, 'PORT', 8090),
    host: env['HOST'] ?? '127.0.0.1',
    firstTokenMs: isStatic ? 0 : numberFrom(env, 'DEMO_FIRST_TOKEN_MS', 120),
    tokenMs: isStatic ? 0 : numberFrom(env, 'DEMO_TOKEN_MS', 20),
    apiKey: env['DEMO_PROVIDER_API_KEY'] || undefined,
  };
}
