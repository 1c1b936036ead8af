#!/usr/bin/env node
import { exitCodeOf, problemOf } from './problem.js';
import { buildProgram } from './program.js';

try {
  await buildProgram({ write: (text) => process.stdout.write(text) }).parseAsync();
} catch (error) {
  const problem = problemOf(error);
  if (problem !== undefined) process.stderr.write(`omg-admin: ${problem}\n`);
  process.exitCode = exitCodeOf(error);
}
