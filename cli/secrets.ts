// Secrets never stand on a command line, where `ps` and the shell's history show them to others.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { IsthmusError } from '../contract/errors.ts';

// isk_… is an API key, ist_… a join token; both have an id and a secret of at least 16 characters.
const SECRET_SHAPE = /\bis[kt]_[A-Za-z0-9-]+_[A-Za-z0-9_-]{16,}/;

/** Throws SECRET_ON_ARGV when an argument carries an API key or a join token. It is not repeated in the message. */
export function refuseSecrets(argv: readonly string[]): void {
  const place = argv.findIndex((argument) => SECRET_SHAPE.test(argument));
  if (place === -1) return;
  const kind = argv[place]!.includes('isk_') ? 'an API key (use --api-key-file)' : 'a join token (use --token-file)';
  throw new IsthmusError('SECRET_ON_ARGV', `argument ${place + 1} looks like ${kind}; it is visible in ps`);
}

/** What is in `file`, or on standard input for `-`; one trailing newline is not part of it. */
export async function readSecret(file: string, stdin: NodeJS.ReadableStream, what: string): Promise<string> {
  const content = (await readInput(file, stdin, what)).replace(/\r?\n$/, '');
  if (content === '') throw new IsthmusError('USAGE', `${what}: ${file === '-' ? 'standard input' : file} is empty`);
  return content;
}

/** The text of `file`, or of standard input for `-`. */
export async function readInput(file: string, stdin: NodeJS.ReadableStream, what: string): Promise<string> {
  if (file === '-') return text(stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new IsthmusError('USAGE', `${what}: cannot read ${file} (${code})`, {
      remedy: 'Name a file that is there and may be read, or - for standard input.',
      cause,
    });
  }
}

/**
 * Makes a secret and, when `file` is named, writes it to that new file (0600). The file is there first: a secret that
 * can be written nowhere would be good and known to nobody. USAGE when it exists already or cannot be made.
 */
export async function keepSecret<T>(
  file: string | undefined,
  make: () => Promise<T>,
  secretOf: (made: T) => string,
): Promise<T> {
  if (file === undefined) return make();
  await writeFile(file, '', { mode: 0o600, flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
    throw new IsthmusError('USAGE', `cannot make the file ${file} (${cause.code})`, {
      remedy: 'Name a file that is not there yet, in a folder that is.',
      cause,
    });
  });
  try {
    const made = await make();
    await writeFile(file, `${secretOf(made)}\n`);
    return made;
  } catch (thrown) {
    await rm(file, { force: true });
    throw thrown;
  }
}
