import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_MIN, nodeProblem } from './node-version.js';

describe('the oldest Node that the services run on', () => {
  it('is the one that the repository names', () => {
    const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../../../package.json'), 'utf8')) as { engines: { node: string } };
    expect(`>=${NODE_MIN.major}.${NODE_MIN.minor}`).toBe(manifest.engines.node);
  });

  it.each(['24.9.0', '24.10.1', '25.0.0', '26.1.0-nightly', '100.0.0'])('lets %s run them', (version) => {
    expect(nodeProblem(version)).toBeUndefined();
  });

  it.each(['24.8.9', '24.0.0', '22.20.0', '20.20.2', '9.10.0'])('does not let %s, and says what is needed', (version) => {
    expect(nodeProblem(version)).toBe(`Node.js 24.9 or newer is needed; this is ${version}`);
  });
});
