// One run of the command line, from arguments to exit code.
import { CommanderError } from 'commander';
import { errorCatalogue, IsthmusError, isErrorCode, type ErrorCode } from '../contract/errors.ts';
import type { Cli } from './cli.ts';
import { ServerError } from './client/client.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { buildProgram, refuseVersionOfCommand } from './program.ts';
import { escapeText } from './render/escape.ts';
import { remedyText } from './render/remedy.ts';
import { refuseSecrets } from './secrets.ts';
import { warn, type Terminal } from './terminal.ts';

function reportError(error: IsthmusError, terminal: Terminal): void {
  const code = error instanceof ServerError ? error.serverCode : error.code;
  const at = error.hop === undefined ? '' : ` at ${error.hop}`;
  const lines = error.message.split('\n').map(escapeText);
  warn(terminal, `isthmus: ${lines.join('\n         ')} (${code}${escapeText(at)})`);
  if (error.field !== undefined && !error.message.includes(error.field))
    warn(terminal, `  field: ${escapeText(error.field)}`);
  warn(terminal, `  what to do: ${escapeText(remedyText(error))}`);
}

/** Errors behind which may be that the command talks to another server than its user thinks. */
const OF_THE_SERVER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SERVER_UNREACHABLE',
  'SERVER_WRONG_AUTHORITY',
  'UNAUTHENTICATED',
]);

function tellContext({ contextUsed }: Cli, terminal: Terminal): void {
  if (contextUsed === undefined) return;
  const file = escapeText(contextUsed);
  warn(terminal, `  context:    ${file}; --context or ISTHMUS_CONTEXT names another, \`isthmus login\` writes one`);
}

/** What commander says of a wrong command line, as every other error is told. */
function usageText(message: string): string {
  return message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?');
}

/** A file or folder of this machine that cannot be used is no fault of Isthmus. */
function fileError(thrown: unknown): IsthmusError | undefined {
  if (!(thrown instanceof Error) || !('syscall' in thrown && 'path' in thrown)) return undefined;
  return new IsthmusError('FILE_UNUSABLE', thrown.message, { cause: thrown });
}

/** The exit code of whatever a command threw, after it was shown. */
function ending(thrown: unknown, terminal: Terminal): number {
  if (thrown instanceof CommanderError) {
    // Help and version end by throwing too, with exit code 0.
    if (thrown.exitCode === 0) return exitCodes.ok.code;
    // A group without a command has shown its help, which says more.
    if (thrown.code !== 'commander.help') reportError(new IsthmusError('USAGE', usageText(thrown.message)), terminal);
    return exitCodes.usage.code;
  }
  const error = fileError(thrown) ?? IsthmusError.from(thrown);
  if (terminal.signal.aborted && error.code === 'CANCELLED') {
    warn(terminal, `isthmus: ${error.message}`);
    return exitCodes.interrupted.code;
  }
  reportError(error, terminal);
  if (error.code === 'INTERNAL' && error.cause instanceof Error && !(error instanceof ServerError)) {
    warn(terminal, escapeText(error.cause.stack ?? '').replaceAll('\\x0a', '\n'));
  }
  if (!(error instanceof ServerError)) return exitCodeOf(error.code, errorCatalogue[error.code].http);
  // A newer server may send a code that this version does not know: its status still says what kind it is.
  return exitCodeOf(isErrorCode(error.serverCode) ? error.serverCode : undefined, error.status);
}

/** Runs one command; everything it has to say has been written when this resolves. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    refuseSecrets(argv);
    const { program, cli } = buildProgram(terminal);
    refuseVersionOfCommand(argv, program);
    try {
      await program.parseAsync(argv, { from: 'user' });
      return exitCodes.ok.code;
    } catch (thrown) {
      const code = ending(thrown, terminal);
      if (thrown instanceof IsthmusError && OF_THE_SERVER.has(thrown.code)) tellContext(cli, terminal);
      return code;
    } finally {
      await cli.close();
    }
  } catch (thrown) {
    return ending(thrown, terminal);
  }
}
