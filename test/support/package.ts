// What `npm run package` builds from the present tree, for this machine's architecture and signed: built once, then kept
// in the cache for every test that needs it.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { run } from '../lab/support/run.ts';

const root = join(import.meta.dirname, '../..');
const cache = join(root, 'node_modules/.cache/tests/package');

/** All that it is built from. */
const SOURCES =
  '{bin/isthmus,LICENSE,package*.json,{build/package,certs,cli,contract,docker,examples,host,install,lib,mesh,mirror,node,proto,relay,server,tentacle}/**}';

export interface BuiltPackage {
  /** With the tarball, SHA256SUMS, its signature and the public key. */
  readonly folder: string;
  /** Its path. */
  readonly tarball: string;
  /** The path of the private key. */
  readonly key: string;
  /** `isthmus-0.1.0-linux-x64`: the only folder in the tarball. */
  readonly name: string;
}

/** Builds a version, unless it has been built from the same sources. */
export async function builtPackage(version: string = manifest.version): Promise<BuiltPackage> {
  const key = await releaseKey();
  const folder = join(cache, `${await sourcesDigest()}-${version}`);
  const name = `isthmus-${version}-linux-${process.arch}`;
  if (!existsSync(folder)) {
    await removeEarlier(version);
    const partial = await mkdtemp(join(cache, 'partial-'));
    const options = ['--out', partial, '--arch', process.arch, '--version', version, '--key', key];
    await run(process.execPath, [join(root, 'build/package/main.ts'), ...options]);
    // Another test may have built it meanwhile.
    await rename(partial, folder).catch(() => rm(partial, { recursive: true }));
  }
  return { folder, tarball: join(folder, `${name}.tar.gz`), key, name };
}

/** Removes what was built of this version from other sources. */
async function removeEarlier(version: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (name.endsWith(`-${version}`)) await rm(join(cache, name), { recursive: true, force: true });
  }
}

/** Unpacks the present version into a folder; resolves with the path of its tree. */
export async function unpackedTree(folder: string): Promise<string> {
  const { tarball, name } = await builtPackage();
  await run('tar', ['-xzf', tarball, '-C', folder]);
  return join(folder, name);
}

async function releaseKey(): Promise<string> {
  const file = join(cache, 'release-key.pem');
  if (existsSync(file)) return file;
  await mkdir(cache, { recursive: true });
  const { privateKey } = generateKeyPairSync('ed25519');
  // Whichever test comes first, all have the same.
  await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' }).catch(
    () => undefined,
  );
  return file;
}

async function sourcesDigest(): Promise<string> {
  // The commit is in the tarball, too.
  const commit = await run('git', ['-C', root, 'describe', '--always', '--dirty', '--abbrev=40']).catch(() => '');
  const hash = createHash('sha256').update(commit);
  const files = globSync(SOURCES, { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const path of files.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    if (!path.endsWith('.test.ts')) hash.update(`${path.slice(root.length)}\n`).update(readFileSync(path));
  }
  return hash.digest('hex').slice(0, 16);
}
