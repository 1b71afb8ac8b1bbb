// Runs one test file many times and stops at the first red run, to find flaky tests.
// usage: npm run test:repeat -- FILE TIMES
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const [file, timesText] = process.argv.slice(2);
const times = Number(timesText);
if (file === undefined || !Number.isInteger(times) || times < 1) {
  throw new Error('usage: npm run test:repeat -- FILE TIMES');
}

const vitest = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs');
const seconds: number[] = [];
let isGreen = true;
while (isGreen && seconds.length < times) {
  const beganMs = Date.now();
  isGreen = spawnSync(process.execPath, [vitest, 'run', file], { stdio: 'inherit' }).status === 0;
  seconds.push((Date.now() - beganMs) / 1000);
}

const [shortest, longest] = [Math.min(...seconds), Math.max(...seconds)].map((value) => value.toFixed(1));
const ended = isGreen ? `green ${times} of ${times} times` : `red in run ${seconds.length} of ${times}`;
process.stdout.write(`${file}: ${ended}, ${shortest} to ${longest} s a run\n`);
process.exitCode = isGreen ? 0 : 1;
