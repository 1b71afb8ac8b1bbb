// Adds up the JSON reports in a folder and prints one line with the result of the run.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}

const folder = process.argv[2] ?? '.';
const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
const reports = await Promise.all(
  names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Report),
);
const total = (count: (report: Report) => number): number => reports.reduce((sum, report) => sum + count(report), 0);
const passed = total((report) => report.numPassedTests);
const failed = total((report) => report.numFailedTests);
const skipped = total((report) => report.numPendingTests);

process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
if (passed === 0 || failed > 0) process.exitCode = 1;
