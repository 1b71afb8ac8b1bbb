// Copies a folder tree whose files another account may change meanwhile: everything is opened once and never through a
// link, and a copy gets its owner and mode last, when it is complete. Links are copied as links.
import { constants, type Stats } from 'node:fs';
import { lstat, lutimes, lchown, mkdir, open, readdir, readlink, symlink, type FileHandle } from 'node:fs/promises';
import { IsthmusError } from '../../../contract/errors.ts';
import { pathOf } from './install-path.ts';
import { withReadable } from '../readable.ts';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const NEW_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const CHUNK_BYTES = 1024 * 1024;
/** Set-id bits are never given. */
const PERMISSIONS = 0o777;
/** How many files of a folder are copied at once: most of the time goes into flushing them. */
const FILES_AT_ONCE = 8;

export interface CopyOptions {
  /** The entry of `from` that is not copied. */
  readonly except: string;
  /** Once it aborts, copying ends with its reason. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Copies what is in the folder `from` into the open folder `to`, and gives `to` the owner, mode and times of `from`.
 * Durable when it resolves; once it rejects, nothing more is written.
 */
export async function copyTree(from: string, to: FileHandle, { except, signal }: CopyOptions): Promise<void> {
  await withReadable(from, (source, was) => copyFolder({ source, was, to, except: Buffer.from(except), signal }));
}

interface Copy {
  readonly source: FileHandle;
  readonly was: Stats;
  readonly to: FileHandle;
  readonly except?: Buffer;
  readonly signal: AbortSignal | undefined;
}

async function copyFolder({ source, was, to, except, signal }: Copy): Promise<void> {
  const entries = await readdir(`${pathOf(source)}/`, { encoding: 'buffer', withFileTypes: true });
  const wanted = entries.filter(({ name }) => except === undefined || !name.equals(except));
  const [folders, others] = [true, false].map((is) => wanted.filter((entry) => entry.isDirectory() === is));
  const copy = ({ name }: { readonly name: Buffer }) => copyEntry(below(source, name), below(to, name), signal);
  await eachAtOnce(others!, FILES_AT_ONCE, copy);
  await eachAtOnce(folders!, 1, copy);
  await finish(to, was);
}

async function copyEntry(from: Buffer, to: Buffer, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const stats = await lstat(from);
  if (stats.isSymbolicLink()) {
    await symlink(await readlink(from, { encoding: 'buffer' }), to);
    await lchown(to, stats.uid, stats.gid);
    await lutimes(to, stats.atimeMs / 1000, stats.mtimeMs / 1000);
  } else if (stats.isDirectory()) {
    await mkdir(to, { mode: 0o700 });
    await withReadable(from, (source, was) =>
      withNew(to, NEW_FOLDER, (target) => copyFolder({ source, was, to: target, signal })),
    );
  } else if (stats.isFile()) {
    await withReadable(from, (source, was) =>
      withNew(to, NEW_FILE, (target) => copyFile({ source, was, to: target, signal })),
    );
  }
  // Sockets and pipes belong to processes, not to a release.
}

async function copyFile({ source, was, to, signal }: Copy): Promise<void> {
  if (!was.isFile()) throw new IsthmusError('INTERNAL', 'a file of the release was replaced while it was copied');
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(was.size, 1)));
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await source.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) break;
    await to.writeFile(buffer.subarray(0, bytesRead));
  }
  await finish(to, was);
}

/** Does the work for all entries, a few at once. After a failure it begins no more, and rejects once the others end. */
async function eachAtOnce<Entry>(
  entries: readonly Entry[],
  most: number,
  work: (entry: Entry) => Promise<void>,
): Promise<void> {
  const pending = [...entries];
  const worker = async (): Promise<void> => {
    for (let entry = pending.shift(); entry !== undefined; entry = pending.shift()) {
      await work(entry).catch((thrown: unknown) => {
        pending.length = 0;
        throw thrown;
      });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: most }, worker));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function finish(target: FileHandle, { uid, gid, mode, atimeMs, mtimeMs }: Stats): Promise<void> {
  await target.chown(uid, gid);
  await target.chmod(mode & PERMISSIONS);
  await target.utimes(atimeMs / 1000, mtimeMs / 1000);
  await target.sync();
}

async function withNew(path: Buffer, flags: number, use: (target: FileHandle) => Promise<void>): Promise<void> {
  const target = await open(path, flags, 0o600);
  try {
    await use(target);
  } finally {
    await target.close();
  }
}

/** Names are bytes: a script may have created one that is not UTF-8. */
function below(folder: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${pathOf(folder)}/`), name]);
}
