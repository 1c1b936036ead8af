import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { repositoryRoot } from './repository.js';

const BLOCK = /^( *)<!-- (run by|needs) ([^\n]+) -->\n\n?\1```sh\n([\s\S]*?)^\1```$/gm;

export interface CommandBlock {
  /** `run by`: the test that takes these commands from the page and runs them. `needs`: what no test has. */
  mark: 'run by' | 'needs';
  /** The test's path from the root, or what is needed. */
  detail: string;
  commands: string;
}

/** The marked shell blocks of a text in Markdown. */
export function commandBlocks(markdown: string): CommandBlock[] {
  return [...markdown.matchAll(BLOCK)].map(([, indent, mark, detail, commands]) => ({
    mark: mark as CommandBlock['mark'],
    detail: detail!,
    commands: commands!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

/**
 * The commands that a page of the documentation promises to be run by the calling test, block by block, as they are written.
 * Throws when there are none: a page that lost its marks must not turn a test green.
 */
export function documentedCommands(testFile: string, page: string): string[] {
  const name = relative(repositoryRoot(), testFile);
  const blocks = commandBlocks(readFileSync(join(repositoryRoot(), page), 'utf8')).filter(({ mark, detail }) => mark === 'run by' && detail === name);
  if (blocks.length === 0) throw new Error(`${page} has no commands that are run by ${name}`);
  return blocks.map(({ commands }) => commands);
}
