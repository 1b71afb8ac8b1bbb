// The tree that is installed: what a tarball, a Debian package and an image hold.
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildWebPackage } from '../../cli/quickstart/web-package.ts';
import { bundle } from './bundle.ts';
import { licenceOf, productionDependencies } from './dependencies.ts';
import { filesBelow, setModes, sumsOf } from './files.ts';
import { nodeFor, NODE_VERSION, type Architecture } from './node-binary.ts';

export interface Build {
  /** A checkout of Isthmus with its node_modules. */
  readonly source: string;
  readonly version: string;
  /** Of the sources, with `-dirty` when they have changed since; null when that is not known. */
  readonly commit: string | null;
  /** The time of everything in an archive. */
  readonly time: Date;
  /** Aborted when the build is to stop. */
  readonly signal?: AbortSignal;
}

/** Builds what is the same for every architecture into `folder`: the code, its licences and what installs it. */
export async function buildCommon(build: Build, folder: string): Promise<void> {
  const { source, version } = build;
  const app = join(folder, 'app');
  const dependencies = productionDependencies(source);
  await bundle(source, app, dependencies);
  await writeJson(join(app, 'package.json'), { name: 'isthmus', version, type: 'commonjs' });
  await cp(join(source, 'proto/isthmus'), join(app, 'proto/isthmus'), { recursive: true });
  await cp(join(source, 'examples'), join(app, 'examples'), { recursive: true });
  await buildWebPackage(source, join(app, 'examples'));
  for (const dependency of dependencies) {
    const file = join(folder, 'licences', `${dependency.name}-${dependency.version}.txt`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, licenceOf(dependency));
  }
  for (const name of ['bin/isthmus', 'LICENSE', 'docker']) {
    await cp(join(source, name), join(folder, name), { recursive: true });
  }
  await nameImage(join(folder, 'docker/compose.yaml'), version);
  for (const name of ['install.sh', 'systemd']) {
    const path = join(source, 'install', name);
    if (existsSync(path)) await cp(path, join(folder, name), { recursive: true });
  }
}

/** Completes a copy of the common tree for one architecture: Node.js, what it is, and the digests of all of it. */
export async function completeTree(
  build: Build,
  folder: string,
  architecture: Architecture,
  cache: string,
): Promise<void> {
  const node = await nodeFor(architecture, cache, build.signal);
  await cp(join(node, 'bin/node'), join(folder, 'bin/node'));
  await cp(join(node, 'LICENSE'), join(folder, `licences/node-${NODE_VERSION}.txt`));
  await writeJson(join(folder, 'version.json'), {
    version: build.version,
    platform: 'linux',
    architecture,
    node: NODE_VERSION,
    schema: await lastMigration(build.source),
    commit: build.commit,
  });
  await writeFile(join(folder, 'SHA256SUMS'), await sumsOf(folder, await filesBelow(folder)));
  await setModes(folder, (path) => path.startsWith('bin/') || path === 'install.sh', build.time);
}

/** Has the compose file use the image of this version, as `--image` names it. */
async function nameImage(composeFile: string, version: string): Promise<void> {
  const text = await readFile(composeFile, 'utf8');
  await writeFile(composeFile, text.replace(/^( *image: isthmus)$/m, `$1:${version}`));
}

async function lastMigration(source: string): Promise<string> {
  const names = await readdir(join(source, 'server/store/migrations'));
  const last = names
    .filter((name) => /^\d{4}-/.test(name) && !name.endsWith('.test.ts'))
    .sort()
    .at(-1);
  if (last === undefined) throw new Error(`there is no migration in ${source}`);
  return last.replace(/\.ts$/, '');
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
