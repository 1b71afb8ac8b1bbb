// Secrets never stand on a command line, where `ps` and the shell's history show them to others.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { IsthmusError } from '../lib/errors.ts';

// isk_… is an API key, ist_… a join token; both have an id and a secret of at least 16 characters.
const secretShape = /\bis[kt]_[A-Za-z0-9-]+_[A-Za-z0-9_-]{16,}/;

/** Throws SECRET_ON_ARGV when an argument carries an API key or a join token. It is not repeated in the message. */
export function refuseSecrets(argv: readonly string[]): void {
  const place = argv.findIndex((argument) => secretShape.test(argument));
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
    throw new IsthmusError('USAGE', `${what}: cannot read ${file} (${code})`, { cause });
  }
}
