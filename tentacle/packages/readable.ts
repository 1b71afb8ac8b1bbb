// Reads the agent's own files also where their mode denies that to their owner: a package may have them so. The agent
// gives itself the right for as long as it works on them.
import { constants, type Stats } from 'node:fs';
import { chmod, open, type FileHandle } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { O_PATH, pathOf } from './install/install-path.ts';

const FOUND = O_PATH | constants.O_NOFOLLOW;
/** A pipe in the place of a file would wait for its writer. */
const TO_READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const MODE_BITS = 0o7777;

/**
 * Opens a file or a folder and passes it on, with what its mode was before. Below a folder names can be looked up for
 * as long as `use` runs. After a crash the owner keeps the right to read. INTERNAL when something else takes its place.
 */
export async function withReadable<Result>(
  path: string | Buffer,
  use: (opened: FileHandle, was: Stats) => Promise<Result>,
): Promise<Result> {
  const found = await open(path, FOUND);
  try {
    const was = await found.stat();
    const needed = was.isDirectory() ? 0o500 : 0o400;
    const isDenied = was.uid === process.geteuid!() && (was.mode & needed) !== needed;
    if (isDenied) await chmod(pathOf(found), (was.mode & MODE_BITS) | needed);
    try {
      return await withOpened(path, was, use);
    } finally {
      if (isDenied) await chmod(pathOf(found), was.mode & MODE_BITS);
    }
  } finally {
    await found.close();
  }
}

async function withOpened<Result>(
  path: string | Buffer,
  was: Stats,
  use: (opened: FileHandle, was: Stats) => Promise<Result>,
): Promise<Result> {
  const opened = await open(path, TO_READ).catch((thrown: unknown) => {
    throw errnoOf(thrown) === 'ELOOP' ? replaced() : thrown;
  });
  try {
    const { dev, ino } = await opened.stat();
    if (dev !== was.dev || ino !== was.ino) throw replaced();
    return await use(opened, was);
  } finally {
    await opened.close();
  }
}

function replaced(): IsthmusError {
  return new IsthmusError('INTERNAL', 'a file of the release was replaced while it was read');
}
