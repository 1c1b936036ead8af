#!/usr/bin/env node
import { AdminApiError } from './client.js';
import { buildProgram } from './program.js';

try {
  await buildProgram({ write: (text) => process.stdout.write(text) }).parseAsync();
} catch (error) {
  const text = error instanceof AdminApiError ? `${error.message} (${error.status} ${error.code})` : error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  process.stderr.write(`omg-admin: ${text}${cause}\n`);
  process.exitCode = 1;
}
