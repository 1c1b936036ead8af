import { describe, expect, it } from '@jest/globals';
import { buildProgram } from './program.js';

function helpOf(name?: string): string {
  let text = '';
  const program = buildProgram({ ...(name !== undefined && { name }), write: () => undefined }).configureOutput({ writeOut: (part) => (text += part) });
  program.outputHelp();
  return text;
}

describe('the help of the command line', () => {
  it('names the program as it was called, in its usage and in its examples', () => {
    expect(helpOf('./omg admin')).toMatch(/^Usage: \.\/omg admin \[options\]/);
    expect(helpOf('./omg admin')).toMatch(/\n {2}\.\/omg admin tenants create acme\n/);
    expect(helpOf('./omg admin')).not.toContain('omg-admin');
    expect(helpOf()).toMatch(/^Usage: omg-admin /);
  });
});
