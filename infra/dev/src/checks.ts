import { join } from 'node:path';

export interface Check {
  /** What is guaranteed when it passes. */
  name: string;
  command: string;
  args: string[];
}

/** Cheap checks over the whole repository. Each counts as one test of `./omg test`. */
const scriptArguments = (file: string): string[] => ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, file)];

export const CHECKS: readonly Check[] = [
  { name: 'the types hold', command: 'pnpm', args: ['--silent', 'typecheck'] },
  { name: 'no lint finding: sizes, unused code, environment access', command: 'pnpm', args: ['--silent', 'lint'] },
  { name: 'every file is formatted', command: 'pnpm', args: ['--silent', 'format'] },
  { name: 'no unused file, export or dependency', command: 'pnpm', args: ['--silent', 'deadcode'] },
  { name: 'every import keeps to the borders', command: 'pnpm', args: ['--silent', 'borders'] },
  { name: 'the generated files are those that the sources give', command: process.execPath, args: scriptArguments('check-generated.ts') },
];
