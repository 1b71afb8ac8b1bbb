// What `npm run package` builds: the same whenever it is built, and enough to run everything, from the tarball, from the
// Debian package and in the image.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { buildDebianPackage } from '../../build/package/debian.ts';
import { buildImage } from '../../build/package/image.ts';
import type { Architecture } from '../../build/package/node-binary.ts';
import { run } from '../lab/support/run.ts';
import { lacks } from '../support/needs.ts';
import { builtPackage, unpackedTree, type BuiltPackage } from '../support/package.ts';
import { lacksTools } from './support/needs.ts';

const root = join(import.meta.dirname, '../..');
const architecture = process.arch as Architecture;
const account = '10001';

let built: BuiltPackage;
let folder = '';
let tree = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-package-'));
  await chmod(folder, 0o755);
  built = await builtPackage();
  tree = await unpackedTree(folder);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** As the build describes itself, from the tree. */
async function description() {
  const [version, time] = await Promise.all([
    readFile(join(tree, 'version.json'), 'utf8').then((text) => JSON.parse(text) as { version: string }),
    run('git', ['-C', root, 'log', '-1', '--format=%ct']),
  ]);
  return { source: root, version: version.version, commit: null, time: new Date(Number(time) * 1000) };
}

test('two builds give the same bytes', async () => {
  const again = join(folder, 'again');
  await run(process.execPath, [join(root, 'build/package/main.ts'), '--out', again, '--arch', architecture, '--deb']);
  expect(sha256(join(again, `${built.name}.tar.gz`))).toBe(sha256(built.tarball));
  const deb = await buildDebianPackage(await description(), architecture, tree, folder);
  expect(sha256(join(again, deb))).toBe(sha256(join(folder, deb)));
});

test.skipIf(lacks('linux', 'root', 'setpriv'))(
  'the tarball runs a whole mesh with nothing else on the machine, as an account that cannot change it',
  async () => {
    const home = join(folder, 'home');
    await mkdir(home);
    await chown(home, Number(account), Number(account));
    const words = ['--reuid', account, '--regid', account, '--clear-groups', 'env', '-i', `HOME=${home}`];
    const command = [join(tree, 'bin/isthmus'), 'quickstart', '--once', '--data', join(home, 'mesh')];
    const said = await run('setpriv', [...words, 'PATH=/usr/bin:/bin', ...command]);
    expect(said).toContain('crossed each link between sites once');
  },
);

describe.skipIf(lacksTools())('the Debian package', () => {
  let host = '';
  const inHost = (...words: string[]): Promise<string> => run('chroot', [host, ...words]);

  beforeAll(async () => {
    host = join(folder, 'host');
    await run('cp', ['-a', '--reflink=auto', inject('base'), host]);
  });

  /** The package that the test before has built, as if it were of an older version. */
  async function olderPackage(deb: string): Promise<string> {
    const unpacked = join(folder, 'older');
    await run('dpkg-deb', ['-R', deb, unpacked]);
    const lib = join(unpacked, 'usr/lib/isthmus');
    const { version } = await description();
    for (const file of [join(unpacked, 'DEBIAN/control'), join(lib, 'version.json'), join(lib, 'app/package.json')]) {
      await writeFile(file, (await readFile(file, 'utf8')).replace(version, '0.0.1'));
    }
    const sums = join(lib, 'SHA256SUMS');
    const changed = (await readFile(sums, 'utf8')).replaceAll(
      /^\S+ {2}(version\.json|app\/package\.json)$/gm,
      (_line, name) => [sha256(join(lib, String(name))), name].join('  '),
    );
    await writeFile(sums, changed);
    await run('dpkg-deb', ['--root-owner-group', '-Znone', '--build', unpacked, join(host, 'root/older.deb')]);
    return '/root/older.deb';
  }

  test('installs, upgrades and removes a version, and deletes the data only when it is purged', async () => {
    const { version } = await description();
    const deb = `isthmus_${version}_${architecture === 'x64' ? 'amd64' : architecture}.deb`;
    await cp(join(folder, deb), join(host, 'root', deb));
    await inHost('dpkg', '-i', await olderPackage(join(folder, deb)));
    expect(await inHost('isthmus', '--version')).toBe('0.0.1\n');
    await inHost('dpkg', '-i', `/root/${deb}`);
    expect(await inHost('isthmus', '--version')).toBe(`${version}\n`);
    expect(JSON.parse(await inHost('isthmus', 'host', 'show', '-o', 'json'))).toMatchObject({
      current: version,
      previous: '0.0.1',
    });
    await mkdir(join(host, 'var/lib/isthmus/server'), { recursive: true });
    await inHost('dpkg', '-r', 'isthmus');
    expect(await inHost('sh', '-c', 'ls -d /opt/isthmus /usr/lib/isthmus /usr/local/bin/isthmus 2>/dev/null; :')).toBe(
      '',
    );
    expect(await inHost('ls', '/var/lib/isthmus')).toBe('server\n');
    await inHost('dpkg', '-P', 'isthmus');
    expect(await inHost('sh', '-c', 'ls -d /var/lib/isthmus /etc/isthmus 2>/dev/null; :')).toBe('');
  });
});

describe.skipIf(lacksTools() || lacks('buildah'))('the image', () => {
  const base = 'localhost/isthmus-base';
  const buildah = (...words: string[]): Promise<string> => run('buildah', words);
  const storage = process.env['CONTAINERS_STORAGE_CONF'];

  beforeAll(async () => {
    const config = join(folder, 'storage.conf');
    const [images, state] = [join(folder, 'images'), join(folder, 'images-state')];
    await writeFile(config, `[storage]\ndriver = "vfs"\ngraphroot = "${images}"\nrunroot = "${state}"\n`);
    process.env['CONTAINERS_STORAGE_CONF'] = config;
    const container = (await buildah('from', 'scratch')).trim();
    await buildah('add', '--quiet', container, await smallRoot(), '/');
    await buildah('commit', '--quiet', '--rm', container, base);
  });

  afterAll(() => {
    if (storage === undefined) delete process.env['CONTAINERS_STORAGE_CONF'];
    else process.env['CONTAINERS_STORAGE_CONF'] = storage;
  });

  /** What the Dockerfile needs of its base, out of the Debian root: a shell, some of coreutils, and their libraries. */
  async function smallRoot(): Promise<string> {
    const small = join(folder, 'small-root');
    await mkdir(join(small, 'tmp'), { recursive: true });
    const programs = ['/bin/sh', '/usr/bin/env', '/usr/bin/install', '/usr/bin/readlink'];
    const libraries = ['/lib/*/libstdc++.so.6', '/lib/*/libdl.so.2', '/lib/*/libpthread.so.0', '/lib/*/libm.so.6'];
    const pack = `for file in ${[...programs, ...libraries].join(' ')}; do
        echo "$file"; ldd "$file" | grep -o '/lib[^ ]*'; done | sort -u | xargs tar -ch`;
    const script = 'chroot "$1" sh -ec "$3" | tar -x -C "$2"';
    await run('sh', ['-ec', script, 'sh', inject('base'), small, pack]);
    return small;
  }

  test('is built of the tree, and runs a server as its own user on a root that it cannot change', async () => {
    const file = await buildImage(await description(), architecture, tree, folder, base);
    const container = (await buildah('from', `oci-archive:${join(folder, file)}`)).trim();
    const { version } = await description();
    const { OCIv1: image } = JSON.parse(await buildah('inspect', container)) as {
      OCIv1: { config: { User: string; Entrypoint: string[]; Labels: Record<string, string> } };
    };
    expect(image.config).toMatchObject({ User: '10001:10001', Entrypoint: ['/opt/isthmus/bin/isthmus'] });
    expect(image.config.Labels['org.opencontainers.image.version']).toBe(version);
    const script = `
      bin/node -p 'process.getuid()'; touch x 2>/dev/null && echo wrote
      bin/isthmus init --data /data/node --mesh-listen 127.0.0.1:0 --api-listen 0.0.0.0:18443 >/dev/null
      bin/isthmus server start --data /data/node 2>/dev/null & server=$!
      until bin/node docker/healthcheck.mjs https://127.0.0.1:18443/readyz 2>/dev/null; do kill -0 $server; done
      echo healthy; kill $server; wait $server`;
    const words = ['--isolation', 'chroot', '--user', `${account}:${account}`, container, 'sh', '-uc', script];
    expect(await buildah('run', ...words)).toBe(`${account}\nhealthy\n`);
  });
});
