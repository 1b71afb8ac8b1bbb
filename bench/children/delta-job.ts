// One job of a delta in a process of its own, so that its peak of memory is the job's: `delta-job.ts JOB`, JOB as JSON
// with the file that gets the bytes. Prints its time and peak as JSON.
import { open } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { runDelta } from '../../lib/delta/delta.ts';
import type { DeltaJob } from '../../lib/delta/codec.ts';

const { job, into } = JSON.parse(process.argv[2]!) as { readonly job: DeltaJob; readonly into: string };
const file = await open(into, 'w');
const began = performance.now();
await runDelta(job, (chunk) => file.writeFile(chunk), new AbortController().signal);
const seconds = (performance.now() - began) / 1000;
await file.close();
const { user, system } = process.cpuUsage();
const peakKb = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
process.stdout.write(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, peakMb: (peakKb * 1024) / 1e6 }));
