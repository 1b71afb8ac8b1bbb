// The executable: runs one command with the process's streams and signals, and exits with its code.
import { keepCompiledCode } from './compiled-code.ts';

keepCompiledCode();
const { EXIT_CODES: exitCodes } = await import('./exit-codes.ts');
const { run } = await import('./run.ts');

// npm forwards a Ctrl-C that the terminal has already sent to this process: two so close together are one.
const SAME_SIGNAL_MS = 1_500;

const stop = new AbortController();
let firstSignalMs: number | undefined;

function onStopSignal(): void {
  const nowMs = performance.now();
  firstSignalMs ??= nowMs;
  stop.abort();
  // At a second Ctrl-C the user does not want to wait.
  if (nowMs - firstSignalMs > SAME_SIGNAL_MS) process.exit(exitCodes.interrupted.code);
}

process.on('SIGINT', onStopSignal);
process.on('SIGTERM', onStopSignal);
// Without a handler this signal opens Node's debugger to every user of the machine.
process.on('SIGUSR1', () => undefined);
// `isthmus … | head` closes standard output early, which is no fault. A full disk is one: output is lost.
function onOutputError(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok.code);
  process.stderr.write(`isthmus: standard output cannot be written (${error.code})\n`);
  process.exit(exitCodes.output.code);
}
process.stdout.on('error', onOutputError);
// If nobody reads the messages, the command and its exit code still count.
process.stderr.on('error', () => undefined);

const EXIT_CODE = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  redraws: process.stdout.isTTY,
  interactive: process.stdin.isTTY && process.stderr.isTTY,
  signal: stop.signal,
});
// Output to a pipe may not be flushed yet.
process.stdout.write('', (error) => (error ? onOutputError(error) : process.exit(EXIT_CODE)));
