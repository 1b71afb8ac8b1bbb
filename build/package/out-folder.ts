// The folder that a build fills: as it was until the new files are whole, and then with nothing that their list does not
// name.
import { existsSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SUMS_FILE } from '../../certs/release-keys.ts';
import { errnoOf, syncPath } from '../../lib/files/disk-space.ts';
import { BuildError } from './build-error.ts';

export const SIGNATURE_FILE = `${SUMS_FILE}.sig`;
export const PUBLIC_KEY_FILE = 'isthmus-release.pub';
/** In the order in which they appear: without the list nothing can be taken for whole. */
const LISTS = [SUMS_FILE, PUBLIC_KEY_FILE, SIGNATURE_FILE];

/** Tarballs and images, and Debian packages. */
const CARRIED = /^(isthmus-.+-linux-(x64|arm64)\.(tar\.gz|oci\.tar)|isthmus_.+_(amd64|arm64)\.deb)$/;

/** A folder of a process, by its number. */
const PARTIAL = /^\.package-(\d+)$/;

/**
 * Creates a folder in `parent` for what this process has not completed, and removes those of processes that have ended;
 * resolves with its path, and with the numbers of the processes that still use theirs.
 */
export async function createPartial(parent: string): Promise<{ folder: string; others: number[] }> {
  await makeFolder(parent);
  const folder = join(parent, `.package-${process.pid}`);
  await removePartial(folder);
  await mkdir(folder);
  const others: number[] = [];
  for (const name of await readdir(parent)) {
    const pid = Number(PARTIAL.exec(name)?.[1] ?? process.pid);
    if (pid === process.pid) continue;
    if (isRunning(pid)) others.push(pid);
    else await removePartial(join(parent, name));
  }
  return { folder, others };
}

/** Without `recursive` of mkdir, which never ends below /proc. */
async function makeFolder(path: string): Promise<void> {
  if (existsSync(path)) return;
  await makeFolder(dirname(path));
  await mkdir(path).catch((thrown: unknown) => {
    // Another build was faster.
    if (errnoOf(thrown) !== 'EEXIST') throw thrown;
  });
}

export async function removePartial(folder: string): Promise<void> {
  // A program that was stopped may still write there.
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return errnoOf(thrown) === 'EPERM';
  }
}

/**
 * Moves every file of `partial` to `out`, and removes what an earlier build left there that the new list does not name;
 * resolves with the names of what it removed. Whenever this is cut short, `out` has no list that a file is not as it
 * says, or that lacks a file.
 */
export async function publish(partial: string, out: string): Promise<string[]> {
  const names = await readdir(partial);
  for (const name of names) {
    if (lstatSync(join(out, name), { throwIfNoEntry: false })?.isDirectory() === true) {
      throw new BuildError(`${join(out, name)} is a folder; remove it, or name another folder with --out`);
    }
    await syncPath(join(partial, name));
  }
  const earlier = readdirSync(out, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && (CARRIED.test(entry.name) || LISTS.includes(entry.name)))
    .map(({ name }) => name);
  const left = earlier.filter((name) => !names.includes(name)).sort();
  for (const name of [...LISTS].reverse()) rmSync(join(out, name), { force: true });
  for (const name of left) rmSync(join(out, name), { force: true });
  const carried = names.filter((name) => !LISTS.includes(name));
  const lists = LISTS.filter((name) => names.includes(name));
  for (const name of [...carried, ...lists]) renameSync(join(partial, name), join(out, name));
  await syncPath(out);
  return left;
}
