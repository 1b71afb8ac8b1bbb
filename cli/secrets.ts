// Keeps secrets off the command line, and in files of their own. A command line would show them to others, in `ps` and
// the shell's history.
import { rm, writeFile } from 'node:fs/promises';
import { IsthmusError } from '../contract/errors.ts';

// isk_… is an API key, ist_… a join token; both have an id and a secret of at least 16 characters.
const SECRET_SHAPE = /\bis[kt]_[A-Za-z0-9-]+_[A-Za-z0-9_-]{16,}/;

/** Throws SECRET_ON_ARGV when an argument carries an API key or a join token. The message does not repeat it. */
export function rejectSecrets(argv: readonly string[]): void {
  const index = argv.findIndex((argument) => SECRET_SHAPE.test(argument));
  if (index === -1) return;
  const kind = argv[index]!.includes('isk_') ? 'an API key (use --api-key-file)' : 'a join token (use --token-file)';
  throw new IsthmusError('SECRET_ON_ARGV', `argument ${index + 1} looks like ${kind}; it is visible in ps`);
}

/**
 * Creates a secret and, when `file` is given, writes it to that new file (0600). The file is created first: else a
 * secret that cannot be written would be valid and lost. FILE_UNUSABLE when the file exists or cannot be created.
 */
export async function keepSecret<T>(
  file: string | undefined,
  create: () => Promise<T>,
  secretOf: (created: T) => string,
): Promise<T> {
  if (file === undefined) return create();
  await writeFile(file, '', { mode: 0o600, flag: 'wx' }).catch((cause: NodeJS.ErrnoException) => {
    throw new IsthmusError('FILE_UNUSABLE', `cannot create the file ${file} (${cause.code})`, {
      remedy: 'Name a new file in an existing folder.',
      cause,
    });
  });
  try {
    const created = await create();
    await writeFile(file, `${secretOf(created)}\n`);
    return created;
  } catch (thrown) {
    await rm(file, { force: true });
    throw thrown;
  }
}
