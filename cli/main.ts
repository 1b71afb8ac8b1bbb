// The executable: runs one command with the process's streams and signals, and exits with its code.
import { FROM_SOURCE } from '../lib/software.ts';
import { keepCompiledCode } from './compiled-code.ts';
import { EXIT_CODES } from './exit-codes.ts';

if (FROM_SOURCE) keepCompiledCode();

// npm forwards a Ctrl-C that the terminal has already sent to this process: two so close together are one.
const SAME_SIGNAL_MS = 1_500;

const stop = new AbortController();
let firstSignalMs: number | undefined;

function onStopSignal(): void {
  const nowMs = performance.now();
  firstSignalMs ??= nowMs;
  stop.abort();
  // At a second Ctrl-C the user does not want to wait.
  if (nowMs - firstSignalMs > SAME_SIGNAL_MS) process.exit(EXIT_CODES.interrupted.code);
}

process.on('SIGINT', onStopSignal);
process.on('SIGTERM', onStopSignal);
// Without a handler this signal opens Node's debugger to every user of the machine.
process.on('SIGUSR1', () => undefined);
// `isthmus … | head` closes standard output early, which is no fault. A full disk is one: output is lost.
function onOutputError(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(EXIT_CODES.ok.code);
  process.stderr.write(`isthmus: standard output cannot be written (${error.code})\n`);
  process.exit(EXIT_CODES.output.code);
}
process.stdout.on('error', onOutputError);
// If nobody reads the messages, the command and its exit code still count.
process.stderr.on('error', () => undefined);

async function main(): Promise<number> {
  const { run } = await import('./run.ts');
  return run(process.argv.slice(2), {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    redraws: process.stdout.isTTY,
    interactive: process.stdin.isTTY && process.stderr.isTTY,
    signal: stop.signal,
  });
}

main().then(
  // Output to a pipe may not be flushed yet.
  (code) => process.stdout.write('', (error) => (error ? onOutputError(error) : process.exit(code))),
  (error: unknown) => {
    process.stderr.write(`isthmus: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(EXIT_CODES.internal.code);
  },
);
