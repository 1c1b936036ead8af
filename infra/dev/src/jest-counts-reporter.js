import { writeFileSync } from 'node:fs';

/** Leaves the run's counts in the file named by OMG_JEST_COUNTS, for the sum that ./omg test prints last. */
export default class CountsReporter {
  onRunComplete(_contexts, results) {
    const file = process.env.OMG_JEST_COUNTS;
    if (file === undefined) return;
    const counts = {
      passed: results.numPassedTests,
      // A suite that could not even be loaded has no tests to fail; it counts as one failure.
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
    };
    writeFileSync(file, JSON.stringify(counts));
  }
}
