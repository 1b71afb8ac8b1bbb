// The example application with its libraries, as one tar.gz: packed from the repository, or as it comes with an
// installation. The same files give the same bytes, so that a second start finds its package in the feed.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { create, list } from 'tar';
import { IsthmusError } from '../../contract/errors.ts';
import { FROM_SOURCE, softwarePath } from '../../lib/software.ts';

export interface BuiltPackage {
  readonly file: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly files: number;
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
}

async function dependenciesOf(folder: string): Promise<string[]> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
  return Object.keys(manifest.dependencies ?? {});
}

/** The folder Node would load `name` from, for a module in `from`. */
function resolvePackage(name: string, from: string, root: string): string {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
  }
  throw new IsthmusError('CONFIG_INVALID', `the library ${name} is not installed`, { remedy: 'Run `npm ci`.' });
}

/** The package folders of `names` and all their dependencies; a folder inside another one is part of it. */
async function dependencyTree(names: readonly string[], root: string): Promise<string[]> {
  const found = new Set<string>();
  const visit = async (name: string, from: string): Promise<void> => {
    const folder = resolvePackage(name, from, root);
    if (found.has(folder)) return;
    found.add(folder);
    for (const dependency of await dependenciesOf(folder)) await visit(dependency, folder);
  };
  for (const name of names) await visit(name, root);
  return [...found].filter((folder) => relative(join(root, 'node_modules'), folder).split('node_modules').length === 1);
}

/** The files below `folder`, sorted, without symbolic links. */
async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (path: string): Promise<void> => {
    for (const entry of await readdir(join(folder, path), { withFileTypes: true })) {
      const child = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) await visit(child);
      else if (entry.isFile()) found.push(child);
    }
  };
  await visit('');
  return found.sort();
}

/** Fills a folder with links to everything in the package, so that nothing is copied. Returns the files' paths. */
async function stage(root: string, staging: string): Promise<string[]> {
  const example = join(root, 'examples', 'web');
  const sources = new Map<string, string>();
  for (const entry of await readdir(example)) sources.set(entry, join(example, entry));
  sources.set('protocol/isthmus', join(root, 'proto', 'isthmus'));
  for (const folder of await dependencyTree(await dependenciesOf(example), root))
    sources.set(relative(root, folder), folder);
  const files: string[] = [];
  for (const [name, source] of sources) {
    await mkdir(dirname(join(staging, name)), { recursive: true });
    await symlink(source, join(staging, name));
    const inside = (await stat(source)).isDirectory()
      ? (await filesBelow(source)).map((file) => `${name}/${file}`)
      : [name];
    files.push(...inside);
  }
  return files.sort();
}

const FILE_NAME = 'isthmus-example-web.tar.gz';

/** The package, built in `folder` in a checkout. */
export async function webPackage(folder: string): Promise<BuiltPackage> {
  const file = FROM_SOURCE ? await buildWebPackage(softwarePath(''), folder) : softwarePath(`examples/${FILE_NAME}`);
  let files = 0;
  await list({ file, onReadEntry: () => (files += 1) });
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return { file, sha256: hash.digest('hex'), sizeBytes: (await stat(file)).size, files };
}

/** Packs the example of the repository at `root` into a file in `folder`; resolves with its path. */
export async function buildWebPackage(root: string, folder: string): Promise<string> {
  const staging = await mkdtemp(join(folder, 'staging-'));
  const file = join(folder, FILE_NAME);
  try {
    const files = await stage(root, staging);
    // Reproducible: portable leaves out owner and inode, the time is fixed, names are sorted.
    const partial = `${file}.partial`;
    await create(
      {
        cwd: staging,
        file: partial,
        gzip: { level: 6 },
        portable: true,
        mtime: new Date(0),
        follow: true,
        noDirRecurse: true,
      },
      files,
    );
    await rename(partial, file);
    return file;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
