// The executable: gives a run its terminal and signals, and ends the process with its exit code.
import { exitCodes } from './exit-codes.ts';
import { run } from './run.ts';

const stop = new AbortController();
let asked = 0;

function onStopSignal(): void {
  asked += 1;
  stop.abort();
  // A second Ctrl-C is somebody who does not want to wait.
  if (asked > 1) process.exit(exitCodes.interrupted.code);
}

process.on('SIGINT', onStopSignal);
process.on('SIGTERM', onStopSignal);
// Without a handler this signal opens Node's debugger to every user of the machine.
process.on('SIGUSR1', () => undefined);
// `isthmus … | head` closes standard output early; that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok.code);
});

const code = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  redraws: process.stdout.isTTY,
  interactive: process.stdin.isTTY && process.stderr.isTTY,
  signal: stop.signal,
});
// What was written to a pipe may still be on its way.
process.stdout.write('', () => process.exit(code));
