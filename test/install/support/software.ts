// Further versions of the software for tests: the tree that was built under another number, and broken on purpose.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesBelow, sumsOf } from '../../../build/package/files.ts';
import { signSums } from '../../../certs/release-keys.ts';
import { run } from '../../lab/support/run.ts';
import { builtPackage } from '../../support/package.ts';

/** How a version is broken: a line before all others of the command. */
const faults = {
  /** Its tentacle ends at once. */
  crashes: `console.error('isthmus: broken on purpose (INTERNAL)'); process.exit(70);`,
  /** Its tentacle starts, and finds no parent. */
  astray: `const { promises } = require('node:dns');
  const lost = Object.assign(new Error('lost on purpose'), { code: 'ENOTFOUND' });
  require('node:dns').lookup = (...words) => process.nextTick(words.at(-1), lost);
  promises.lookup = () => Promise.reject(lost);`,
} as const;

/** What is carried to machines: a tarball, the signed list and the public key. */
export interface CarriedSoftware {
  readonly version: string;
  /** With nothing else in it. */
  readonly folder: string;
  /** The name of the tarball. */
  readonly tarball: string;
}

/** The present version, as it was built. */
export async function presentSoftware(): Promise<CarriedSoftware> {
  const { folder, name } = await builtPackage();
  return { version: /^isthmus-([^-]+)-/.exec(name)![1]!, folder, tarball: `${name}.tar.gz` };
}

/** A version above that of the software and below its next minor one; without `patch`, the next minor one. */
export function higherVersion({ version }: CarriedSoftware, patch?: number): string {
  const [major = 0, minor = 0, present = 0] = version.split('.').map(Number);
  return patch === undefined ? `${major}.${minor + 1}.0` : `${major}.${minor}.${present + patch}`;
}

/** The present version under another number, in a new folder below `parent`, signed by the same key. */
export async function renumberedSoftware(
  parent: string,
  version: string,
  fault?: keyof typeof faults,
): Promise<CarriedSoftware> {
  const built = await builtPackage();
  const folder = join(parent, version);
  const name = built.name.replace(/^isthmus-[^-]+/, `isthmus-${version}`);
  const tree = join(folder, name);
  await mkdir(folder);
  await run('tar', ['-xzf', built.tarball, '-C', folder]);
  await rename(join(folder, built.name), tree);
  for (const file of ['version.json', 'app/package.json']) await changeVersion(join(tree, file), version);
  if (fault !== undefined) {
    const entry = join(tree, 'app/cli/main.js');
    const broken = `if (process.argv.includes('tentacle')) { ${faults[fault]} }\n`;
    await writeFile(entry, broken + (await readFile(entry, 'utf8')));
  }
  const files = (await filesBelow(tree)).filter((path) => path !== 'SHA256SUMS');
  await writeFile(join(tree, 'SHA256SUMS'), await sumsOf(tree, files));
  // A test waits for it: as fast as can be.
  const tarball = `${name}.tar.gz`;
  await run('tar', ['-C', folder, '--remove-files', '-I', 'gzip -1', '-cf', join(folder, tarball), name]);
  const sums = await sumsOf(folder, [tarball]);
  const key = createPrivateKey(await readFile(built.key));
  await writeFile(join(folder, 'SHA256SUMS'), sums);
  await writeFile(join(folder, 'SHA256SUMS.sig'), signSums(sums, key));
  await writeFile(join(folder, 'isthmus-release.pub'), createPublicKey(key).export({ type: 'spki', format: 'pem' }));
  return { version, folder, tarball };
}

async function changeVersion(file: string, version: string): Promise<void> {
  const content = JSON.parse(await readFile(file, 'utf8')) as { version: string };
  await writeFile(file, `${JSON.stringify({ ...content, version }, null, 2)}\n`);
}
