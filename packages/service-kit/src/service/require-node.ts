/**
 * Ends the process at its import where Node is too old. There, loading some dependency throws or crashes the process without
 * a word, so this module is evaluated before any of them: it is the first import of this package, which is each service's first.
 */
import { nodeProblem } from './node-version.js';

const problem = nodeProblem(process.versions.node);
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}
