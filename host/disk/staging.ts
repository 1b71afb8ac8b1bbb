// Brings a version into its folder: copied or unpacked beside it, verified, flushed, and then there at once, by one
// rename. A version folder never changes afterwards.
import { createReadStream, existsSync, type Stats } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SUMS_FILE } from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { unpackArchive } from '../../lib/archives/archive.ts';
import { finishFolders, FolderWriter } from '../../lib/archives/folder-writer.ts';
import { syncFolder } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';
import { asNoRoom, requireRoom, SPARE_BYTES } from './room.ts';
import { checkArchitecture, listedFiles, readSoftware, verifyFiles, type Software } from './software.ts';

/** What is not complete: removed by whoever comes next. */
const INCOMPLETE = /^\.(?:incoming|removed|current|previous|known-good|upgrade\.json)[-.]/;
/** A tarball unpacks to less: it has one Node.js and the code. */
const UNPACKED_LIMITS = { maxEntries: 20_000, maxBytes: 1024 ** 3, reserveBytes: SPARE_BYTES };

/** Throws unless a version may be one of this host. */
type Admit = (software: Software) => void;

/** The folder of a version. */
export function versionFolder({ versions }: HostLayout, version: string): string {
  return join(versions, version);
}

/** What the version in a folder of this host is. SOFTWARE_DAMAGED where it cannot be read. */
export function softwareOf(layout: HostLayout, version: string): Promise<Software> {
  return readSoftware(versionFolder(layout, version));
}

/**
 * Copies the version in `tree` into its folder, unless it is there or `admit` throws. SOFTWARE_DAMAGED,
 * SOFTWARE_ARCHITECTURE, SOFTWARE_EXISTS when the folder has other content, DISK_FULL; then nothing is left of it.
 */
export async function stageTree(layout: HostLayout, tree: string, admit: Admit): Promise<void> {
  requireRoom(layout, await sizeOf(tree));
  await stage(layout, (incoming) => copyTree(tree, incoming), admit);
}

/** As `stageTree`, of a tarball whose digest has been verified, with the one folder `name` in it. */
export async function stageTarball(layout: HostLayout, file: string, name: string, admit: Admit): Promise<void> {
  const unpack = async (incoming: string): Promise<string> => {
    await unpackArchive({ path: file, format: 'tar.gz', into: incoming, limits: UNPACKED_LIMITS }).catch(asDamaged);
    return join(incoming, name);
  };
  await stage(layout, unpack, admit);
}

/** What archives are rejected for is said of packages, and this is none. */
function asDamaged(thrown: unknown): never {
  if (!(thrown instanceof IsthmusError) || !thrown.code.startsWith('PACKAGE_')) throw thrown;
  throw new IsthmusError('SOFTWARE_DAMAGED', `the tarball cannot be unpacked: ${thrown.message}`, { cause: thrown });
}

/** As `verifyFiles`, of a version's own folder: to copy the tarball again would not help. */
export async function verifyVersion(folder: string): Promise<void> {
  await verifyFiles(folder).catch((thrown: unknown) => {
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'SOFTWARE_DAMAGED') throw thrown;
    throw new IsthmusError('SOFTWARE_DAMAGED', `${thrown.message}: it was changed after it was installed`, {
      remedy: `Delete the folder (rm -r ${folder}), then run install.sh from the unpacked tarball of this version.`,
      cause: thrown,
    });
  });
}

/** Removes what earlier changes left half done. */
export async function removeIncomplete({ versions }: HostLayout): Promise<void> {
  const names = existsSync(versions) ? await readdir(versions) : [];
  for (const name of names.filter((each) => INCOMPLETE.test(each))) {
    await rm(join(versions, name), { recursive: true, force: true });
  }
}

/** Removes a version folder; at no moment does a part of it look like a whole one. */
export async function removeVersion(layout: HostLayout, version: string): Promise<void> {
  const removed = join(layout.versions, `.removed-${version}`);
  await rename(versionFolder(layout, version), removed);
  await rm(removed, { recursive: true, force: true });
}

/** `fill` puts the version somewhere in the folder that it is given, which it creates, and answers where. */
async function stage(layout: HostLayout, fill: (incoming: string) => Promise<string>, admit: Admit): Promise<void> {
  const incoming = join(layout.versions, '.incoming-version');
  try {
    const filled = await fill(incoming);
    await verifyFiles(filled);
    const software = await readSoftware(filled);
    checkArchitecture(software);
    admit(software);
    const folder = versionFolder(layout, software.version);
    if (existsSync(folder)) {
      await checkSame(filled, folder);
    } else {
      await rename(filled, folder);
      syncFolder(layout.versions);
    }
  } catch (thrown) {
    throw asNoRoom(layout, thrown);
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

/** The bytes that its files have. */
async function sizeOf(tree: string): Promise<number> {
  const names = [...(await listedFiles(tree)).keys()];
  const sizes = await Promise.all(names.map(async (name) => (await statOf(join(tree, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function statOf(path: string): Promise<Stats> {
  return stat(path).catch((cause: unknown) => {
    throw new IsthmusError('SOFTWARE_DAMAGED', `${path} is missing`, { cause });
  });
}

async function copyTree(tree: string, incoming: string): Promise<string> {
  await mkdir(incoming, { mode: 0o700 });
  const writer = new FolderWriter(incoming, { reserveBytes: SPARE_BYTES });
  const folders = new Set(['.']);
  const makeFolder = async (path: string): Promise<void> => {
    if (folders.has(path)) return;
    await makeFolder(dirname(path));
    folders.add(path);
    await writer.makeFolder(path);
  };
  try {
    for (const name of [SUMS_FILE, ...(await listedFiles(tree)).keys()]) {
      await makeFolder(dirname(name));
      await copyFile(writer, tree, name);
    }
    await writer.finishFiles([]);
  } catch (thrown) {
    await writer.abandon();
    throw thrown;
  }
  await finishFolders(incoming, writer.folders);
  return incoming;
}

async function copyFile(writer: FolderWriter, tree: string, name: string): Promise<void> {
  const path = join(tree, name);
  const found = await statOf(path);
  const mode = (found.mode & 0o100) === 0 ? 0o644 : 0o755;
  try {
    await writer.beginFile(name, { mode, modifiedAt: found.mtime });
    for await (const chunk of createReadStream(path)) await writer.write(chunk as Buffer);
  } finally {
    await writer.endFile();
  }
}

async function checkSame(filled: string, folder: string): Promise<void> {
  const [sums, existing] = await Promise.all([filled, folder].map((each) => readFile(join(each, SUMS_FILE), 'utf8')));
  if (sums !== existing) {
    throw new IsthmusError('SOFTWARE_EXISTS', `${folder} is there already, with another build of this version`);
  }
  await verifyVersion(folder);
}
