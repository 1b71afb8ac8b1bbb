// The Debian package of a tree: it lies in /usr/lib/isthmus, from where `isthmus host install` makes a version of it.
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { filesBelow, setModes } from './files.ts';
import type { Architecture } from './node-binary.ts';
import { runProgram } from './programs.ts';
import type { Build } from './tree.ts';

/** As Debian calls them. */
const ARCHITECTURE: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

const MAINTAINER_SCRIPTS = ['postinst', 'prerm', 'postrm'];

/** Builds the package of `tree` (which stays as it is) into the folder `out`; resolves with the name of its file. */
export async function buildDebianPackage(
  build: Build,
  architecture: Architecture,
  tree: string,
  out: string,
): Promise<string> {
  const debian = join(build.source, 'install/debian');
  const root = `${tree}.debian`;
  const control = join(root, 'DEBIAN');
  const docs = join(root, 'usr/share/doc/isthmus');
  const name = `isthmus_${build.version}_${ARCHITECTURE[architecture]}.deb`;
  try {
    for (const folder of [control, docs, join(root, 'usr/lib')]) await mkdir(folder, { recursive: true });
    await cp(tree, join(root, 'usr/lib/isthmus'), { recursive: true });
    await cp(join(debian, 'copyright'), join(docs, 'copyright'));
    await cp(join(debian, 'lintian-overrides'), join(root, 'usr/share/lintian/overrides/isthmus'));
    await writeFile(join(docs, 'changelog.gz'), gzipSync(changelog(build), { level: 9 }));
    for (const script of MAINTAINER_SCRIPTS) await cp(join(debian, script), join(control, script));
    const values: Readonly<Record<string, string>> = {
      VERSION: debianVersion(build.version),
      ARCHITECTURE: ARCHITECTURE[architecture],
      SIZE_KIB: String(await sizeKib(root)),
    };
    const template = await readFile(join(debian, 'control'), 'utf8');
    await writeFile(
      join(control, 'control'),
      template.replaceAll(/@([A-Z_]+)@/g, (_all, key: string) => values[key] ?? ''),
    );
    await setModes(root, (path) => /^(DEBIAN\/p|usr\/lib\/isthmus\/(bin\/|install\.sh$))/.test(path), build.time);
    // Times in the package are no later than this.
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(build.time.getTime() / 1000) };
    const options = ['--root-owner-group', '-Zgzip', '-z6', '--build', root, join(out, name)];
    await runProgram('dpkg-deb', options, { env, signal: build.signal, remedy: 'see that the disk has room' });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return name;
}

/** Debian sorts `~` before the end of a version, as others do `-`. */
function debianVersion(version: string): string {
  return version.replace('-', '~');
}

function changelog({ version, time }: Build): string {
  const date = `${time.toUTCString().replace('GMT', '+0000')}`;
  const entry = '  * See CHANGELOG.md in the sources.';
  const signed = ` -- Isthmus developers <isthmus@packages.invalid>  ${date}`;
  return `isthmus (${debianVersion(version)}) unstable; urgency=medium\n\n${entry}\n\n${signed}\n`;
}

async function sizeKib(folder: string): Promise<number> {
  const sizes = await Promise.all(
    (await filesBelow(folder)).map(async (name) => (await stat(join(folder, name))).size),
  );
  return Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 1024);
}
