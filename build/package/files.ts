// Files of what is built: the same content gives the same bytes, whoever builds it, where and when.
import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { createGzip } from 'node:zlib';
import { create } from 'tar';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** The paths of all files below a folder, relative to it, in the order of their bytes. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** The SHA-256 of a file, as lower-case hex. */
async function sha256Of(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** The lines that `sha256sum -c` reads, for files in a folder. */
export async function sumsOf(folder: string, names: readonly string[]): Promise<string> {
  const lines = await Promise.all(names.map(async (name) => `${await sha256Of(join(folder, name))}  ${name}\n`));
  return lines.join('');
}

/** Gives every folder and file below `folder` the mode that it has when it is installed, and this time. */
export async function setModes(folder: string, executable: (path: string) => boolean, time: Date): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    await chmod(path, entry.isDirectory() || executable(path.slice(folder.length + 1)) ? 0o755 : 0o644);
    await utimes(path, time, time);
  }
}

/** Packs the folder `name` in `parent` into the tar.gz `file`: sorted, of root, without the builder's names and times. */
export async function packTarball(
  file: string,
  parent: string,
  name: string,
  { time, signal }: { readonly time: Date; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const folders = (await readdir(join(parent, name), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(parent.length + 1));
  const files = (await filesBelow(join(parent, name))).map((path) => `${name}/${path}`);
  const entries = [name, ...folders, ...files].sort();
  const archive = create({ cwd: parent, portable: true, mtime: time, noDirRecurse: true }, entries);
  // Without a name and a time in the header.
  await pipeline(archive, createGzip({ level: 6 }), createWriteStream(file), { signal });
}
