// Copies a folder tree whose files another account may change meanwhile: everything is opened once and never through a
// link, and a copy gets its owner and mode last, when it is complete. Links are copied as links.
import { constants, type Stats } from 'node:fs';
import { lstat, lutimes, lchown, mkdir, open, readdir, readlink, symlink, type FileHandle } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { pathOf } from './install-path.ts';

const SOURCE_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const SOURCE_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const CHUNK_BYTES = 1024 * 1024;
/** Set-id bits are never given. */
const PERMISSIONS = 0o777;

/**
 * Copies what is in the folder `from` into the open folder `to`, except `left`, and gives `to` the owner, mode and times
 * of `from`. Durable when it resolves.
 */
export async function copyTree(from: string, to: FileHandle, left: string): Promise<void> {
  const source = await open(from, SOURCE_FOLDER);
  try {
    await copyFolder(source, to, left);
  } finally {
    await source.close();
  }
}

async function copyFolder(from: FileHandle, to: FileHandle, left?: string): Promise<void> {
  for (const entry of await readdir(`${pathOf(from)}/`, { encoding: 'buffer' })) {
    if (left !== undefined && entry.equals(Buffer.from(left))) continue;
    await copyEntry(below(from, entry), below(to, entry));
  }
  await finish(to, await from.stat());
}

async function copyEntry(from: Buffer, to: Buffer): Promise<void> {
  const stats = await lstat(from);
  if (stats.isSymbolicLink()) {
    await symlink(await readlink(from, { encoding: 'buffer' }), to);
    await lchown(to, stats.uid, stats.gid);
    await lutimes(to, stats.atimeMs / 1000, stats.mtimeMs / 1000);
  } else if (stats.isDirectory()) {
    await mkdir(to, { mode: 0o700 });
    await withOpen(from, SOURCE_FOLDER, (source) =>
      withOpen(to, SOURCE_FOLDER, (target) => copyFolder(source, target)),
    );
  } else if (stats.isFile()) {
    await withOpen(from, SOURCE_FILE, (source) => copyFile(source, to));
  }
  // Sockets and pipes belong to processes, not to a release.
}

async function copyFile(from: FileHandle, to: Buffer): Promise<void> {
  const stats = await from.stat();
  if (!stats.isFile()) throw new IsthmusError('INTERNAL', 'a file of the release was replaced while it was copied');
  const target = await open(to, NEW_FILE, 0o600);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(stats.size, 1)));
    for (;;) {
      const { bytesRead } = await from.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      await target.writeFile(buffer.subarray(0, bytesRead));
    }
    await finish(target, stats);
  } finally {
    await target.close();
  }
}

async function finish(target: FileHandle, { uid, gid, mode, atimeMs, mtimeMs }: Stats): Promise<void> {
  await target.chown(uid, gid);
  await target.chmod(mode & PERMISSIONS);
  await target.utimes(atimeMs / 1000, mtimeMs / 1000);
  await target.sync();
}

async function withOpen(path: Buffer, flags: number, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await open(path, flags).catch((thrown: unknown) => {
    if (errnoOf(thrown) !== 'ELOOP' && errnoOf(thrown) !== 'ENOTDIR') throw thrown;
    throw new IsthmusError('INTERNAL', 'a file of the release was replaced by a link while it was copied');
  });
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
}

/** Names are bytes: a script may have created one that is not UTF-8. */
function below(folder: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${pathOf(folder)}/`), name]);
}
