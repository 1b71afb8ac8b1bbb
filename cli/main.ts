// The executable: gives a run its terminal and signals, and ends the process with its exit code.
import { keepCompiledCode } from './compiled-code.ts';

keepCompiledCode();
const { exitCodes } = await import('./exit-codes.ts');
const { run } = await import('./run.ts');

// npm passes a Ctrl-C on to a process that has had it from the terminal already: what comes so soon is the same one.
const SAME_SIGNAL_MS = 1_500;

const stop = new AbortController();
let firstAskedMs: number | undefined;

function onStopSignal(): void {
  const nowMs = performance.now();
  firstAskedMs ??= nowMs;
  stop.abort();
  // A second Ctrl-C is somebody who does not want to wait.
  if (nowMs - firstAskedMs > SAME_SIGNAL_MS) process.exit(exitCodes.interrupted.code);
}

process.on('SIGINT', onStopSignal);
process.on('SIGTERM', onStopSignal);
// Without a handler this signal opens Node's debugger to every user of the machine.
process.on('SIGUSR1', () => undefined);
// `isthmus … | head` closes standard output early; that is no fault. A full disk is: what was said is not there.
function onOutputError(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok.code);
  process.stderr.write(`isthmus: standard output cannot be written (${error.code})\n`);
  process.exit(exitCodes.output.code);
}
process.stdout.on('error', onOutputError);
// Nobody reads the messages: the command and its exit code count all the same.
process.stderr.on('error', () => undefined);

const CODE = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  redraws: process.stdout.isTTY,
  interactive: process.stdin.isTTY && process.stderr.isTTY,
  signal: stop.signal,
});
// What was written to a pipe may still be on its way.
process.stdout.write('', (error) => (error ? onOutputError(error) : process.exit(CODE)));
