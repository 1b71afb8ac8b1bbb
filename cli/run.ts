// One run of the command line, from arguments to exit code.
import { CommanderError, type Command } from 'commander';
import { IsthmusError, isErrorCode, type ErrorCode } from '../contract/errors.ts';
import type { Cli } from './cli.ts';
import { ServerError } from './client/server-error.ts';
import { exitCodeOf, EXIT_CODES, localExitCodeOf } from './exit-codes.ts';
import { addCommands, createProgram, rejectVersionOfCommand } from './program.ts';
import { commandLine, isInFile, wordOf } from './render/command-words.ts';
import { escapeText } from './render/escape.ts';
import { remedyText } from './render/remedy.ts';
import { rejectSecrets } from './secrets.ts';
import { warn, type Terminal } from './terminal.ts';

function reportError(error: IsthmusError, terminal: Terminal, command: Command | undefined): void {
  const code = error instanceof ServerError ? error.serverCode : error.code;
  const at = error.hop === undefined ? '' : ` at ${error.hop}`;
  const { message, where } = inCommandWords(error, command);
  const lines = message.split('\n').map(escapeText);
  warn(terminal, `isthmus: ${lines.join('\n         ')} (${code}${escapeText(at)})`);
  if (where !== undefined) warn(terminal, `  ${escapeText(where)}`);
  warn(terminal, `  what to do: ${escapeText(remedyText(error, command && commandLine(command)))}`);
}

/** The message, and where the wrong value is, as the command calls the field. */
function inCommandWords(
  { message, field }: IsthmusError,
  command: Command | undefined,
): { readonly message: string; readonly where?: string } {
  if (field === undefined || field === '') return { message };
  const word = command && wordOf(command, field);
  // A field of the file that an option names is known by its path there.
  if (message.startsWith(`${field} `) && (word === undefined || !isInFile(field))) {
    return { message: word === undefined ? message : `${word}${message.slice(field.length)}` };
  }
  if (word !== undefined) {
    return message.includes(word)
      ? { message }
      : { message, where: `${word.startsWith('-') ? 'option' : 'argument'}: ${word}` };
  }
  const label = field.startsWith('--') ? 'option' : 'field';
  return message.includes(field) ? { message } : { message, where: `${label}: ${field}` };
}

/** Errors whose cause may be that the command uses another server than its user thinks. */
const WRONG_SERVER_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SERVER_UNREACHABLE',
  'SERVER_WRONG_AUTHORITY',
  'UNAUTHENTICATED',
]);

function reportContext({ contextUsed }: Cli, terminal: Terminal): void {
  if (contextUsed === undefined) return;
  const file = escapeText(contextUsed);
  warn(terminal, `  context:    ${file}; --context or ISTHMUS_CONTEXT names another, \`isthmus login\` writes one`);
}

/** Commander's message about a wrong command line, in the form of the other errors. */
function usageError({ message }: CommanderError): IsthmusError {
  const text = message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?');
  return new IsthmusError('USAGE', text);
}

/** An unusable file or folder of this machine is no fault of Isthmus. */
function fileError(thrown: unknown): IsthmusError | undefined {
  if (!(thrown instanceof Error) || !('syscall' in thrown && 'path' in thrown)) return undefined;
  const { syscall = 'use', path = '', code } = thrown as NodeJS.ErrnoException;
  return new IsthmusError('FILE_UNUSABLE', `cannot ${syscall} ${path} (${code})`, { cause: thrown });
}

/** Reports what a command threw, and returns the exit code for it. */
function reportThrown(thrown: unknown, terminal: Terminal, command?: Command): number {
  if (thrown instanceof CommanderError) {
    // Commander also throws after help and version, with exit code 0.
    if (thrown.exitCode === 0) return EXIT_CODES.ok.code;
    // For a group without a command, commander has shown the help, which says more.
    if (thrown.code !== 'commander.help') reportError(usageError(thrown), terminal, command);
    return EXIT_CODES.usage.code;
  }
  const error = fileError(thrown) ?? IsthmusError.from(thrown);
  if (terminal.signal.aborted && error.code === 'CANCELLED') {
    warn(terminal, `isthmus: ${error.message}`);
    return EXIT_CODES.interrupted.code;
  }
  reportError(error, terminal, command);
  if (error.code === 'INTERNAL' && error.cause instanceof Error && !(error instanceof ServerError)) {
    warn(terminal, escapeText(error.cause.stack ?? '').replaceAll('\\x0a', '\n'));
  }
  if (!(error instanceof ServerError)) return localExitCodeOf(error.code);
  // A newer server may send an unknown code; its HTTP status still gives the kind.
  return exitCodeOf(isErrorCode(error.serverCode) ? error.serverCode : undefined, error.status);
}

/** An argument that is not UTF-8 has become another text by now. */
function rejectLossyText(argv: readonly string[]): void {
  const index = argv.findIndex((argument) => argument.includes('\ufffd'));
  if (index < 0) return;
  throw new IsthmusError('TEXT_INVALID', `argument ${index + 1} is not UTF-8`, {
    remedy: 'Set the terminal to UTF-8, or put the text into a file.',
  });
}

/** Runs one command and returns its exit code; its output has been written by then. */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    rejectSecrets(argv);
    rejectLossyText(argv);
    rejectVersionOfCommand(argv);
    const { program, cli } = createProgram(terminal);
    try {
      await addCommands(program, cli, argv);
      await program.parseAsync(argv, { from: 'user' });
      return EXIT_CODES.ok.code;
    } catch (thrown) {
      const code = reportThrown(thrown, terminal, cli.command);
      if (thrown instanceof IsthmusError && WRONG_SERVER_CODES.has(thrown.code)) reportContext(cli, terminal);
      return code;
    } finally {
      await cli.close();
    }
  } catch (thrown) {
    return reportThrown(thrown, terminal);
  }
}
