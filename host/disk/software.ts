// A version of the software in its folder: what it says of itself, and whether each of its files is as it was built.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { parseSums, SUMS_FILE } from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';

/** What `version.json` says; a later version may say more. */
export type Software = Static<typeof Software>;
const Software = Type.Object({
  version: Type.String({ pattern: '^\\d+\\.\\d+\\.\\d+(?:-[0-9A-Za-z.-]+)?$', maxLength: 100 }),
  platform: Type.String(),
  /** As Node.js names it: x64, arm64. */
  architecture: Type.String(),
  node: Type.String(),
  /** The last migration of a server's database that it knows. */
  schema: Type.String(),
  commit: Type.Union([Type.String(), Type.Null()]),
});

/** Parts of a path that leave a folder, or name nothing in it. */
const NO_NAMES: readonly string[] = ['', '.', '..'];

/** Reads `version.json`. SOFTWARE_DAMAGED when there is none, or it says something else. */
export async function readSoftware(folder: string): Promise<Software> {
  const content = parse(await readOf(folder, 'version.json'));
  if (Value.Check(Software, content)) return content;
  throw damaged(`${join(folder, 'version.json')} does not describe a version of Isthmus`);
}

/** SOFTWARE_ARCHITECTURE unless the machine can run it. */
export function checkArchitecture({ version, platform, architecture }: Software): void {
  if (platform === process.platform && architecture === process.arch) return;
  throw new IsthmusError(
    'SOFTWARE_ARCHITECTURE',
    `this is ${version} for ${platform}-${architecture}, and the machine is ${process.platform}-${process.arch}`,
  );
}

/** SOFTWARE_DAMAGED unless the folder has exactly the files of its list, each with the listed content. */
export async function verifyFiles(folder: string): Promise<void> {
  const missing = new Map(await listedFiles(folder));
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of found) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (name === SUMS_FILE) continue;
    const digest = missing.get(name);
    if (digest === undefined || !entry.isFile()) throw damaged(`${path} does not belong to this version`);
    if ((await sha256(path)) !== digest) throw damaged(`${path} is not as it was built`);
    missing.delete(name);
  }
  const [first] = missing.keys();
  if (first !== undefined) throw damaged(`${join(folder, first)} is missing`);
}

/** The digest of each file of the version in a folder, by its path in there. SOFTWARE_DAMAGED for any other list. */
export async function listedFiles(folder: string): Promise<ReadonlyMap<string, string>> {
  const files = parseSums(await readOf(folder, SUMS_FILE));
  const isBelow = (name: string): boolean => name.split('/').every((part) => !NO_NAMES.includes(part));
  if (files !== undefined && [...files.keys()].every(isBelow)) return files;
  throw damaged(`${join(folder, SUMS_FILE)} is no list of files below its folder`);
}

async function readOf(folder: string, name: string): Promise<string> {
  try {
    return await readFile(join(folder, name), 'utf8');
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    throw damaged(`there is no ${name} in ${folder}`, cause);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function damaged(message: string, cause?: unknown): IsthmusError {
  return new IsthmusError('SOFTWARE_DAMAGED', message, { cause });
}
