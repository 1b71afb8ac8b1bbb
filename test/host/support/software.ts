// Trees of versions as a tarball has them, with little in them: enough for what changes the version of a host.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** How the services of a version do, by a file of this name in it; see `fake-services.ts`. */
export type Behaviour = 'well' | 'crashes' | 'never-connects' | 'rejected' | 'never-starts';

interface TreeOptions {
  readonly behaviour?: Behaviour;
  readonly schema?: string;
  readonly architecture?: string;
  /** Further files, by path. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Makes the tree of a version in a new folder. */
export function makeTree(folder: string, version: string, options: TreeOptions = {}): string {
  const { behaviour = 'well', schema = '0001-start', architecture = process.arch, files = {} } = options;
  const described = { version, platform: 'linux', architecture, node: '24.0.0', schema, commit: 'none' };
  const content = {
    'version.json': JSON.stringify(described),
    'bin/isthmus': '#!/bin/sh\n',
    behaviour,
    ...files,
  };
  for (const [name, text] of Object.entries(content)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  chmodSync(join(folder, 'bin/isthmus'), 0o755);
  listFiles(folder);
  return folder;
}

/** Writes the list of a tree's files and their digests. */
export function listFiles(folder: string): void {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'SHA256SUMS')
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const lines = names.sort().map((name) => `${sha256(readFileSync(join(folder, name)))}  ${name}\n`);
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''));
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
