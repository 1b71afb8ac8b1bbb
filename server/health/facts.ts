// The facts of a health report as they are judged and stored. A compromised tentacle sends what it likes.
import type { HealthReport__Output } from '../../proto/gen/isthmus/health/v1/HealthReport.ts';
import { truncate } from '../tasks/execution/truncate.ts';

/** The report with its texts and lists cut, and a load that is a number. Integers of the wire are never negative. */
export function truncatedFacts(report: HealthReport__Output): HealthReport__Output {
  const { load_1m } = report;
  return { ...truncate(report), load_1m: Number.isFinite(load_1m) && load_1m > 0 ? load_1m : 0 };
}
