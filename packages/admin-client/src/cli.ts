#!/usr/bin/env node
import { exitCodeOf, problemOf } from './problem.js';
import { buildProgram } from './program.js';

/** `./omg admin` sets it: help that names another program than the one that was called helps nobody. */
const name = process.env['OMG_ADMIN_NAME'] || 'omg-admin';

try {
  await buildProgram({ name, write: (text) => process.stdout.write(text) }).parseAsync();
} catch (error) {
  const problem = problemOf(error);
  if (problem !== undefined) process.stderr.write(`${name}: ${problem}\n`);
  process.exitCode = exitCodeOf(error);
}
