// Writes the page that follows from the benchmarks: pnpm generate.
import { writeCapacityPage } from './capacity-page.ts';

writeCapacityPage();
