// Modes, times and links of entries: kept where they stay inside the package, and rejected where they do not.
import { execFile } from 'node:child_process';
import {
  chmod,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unpackArchive, unpackFiles, type UnpackedFormat } from '../../lib/archives/archive.ts';
import type { ByteSource } from '../../lib/archives/byte-source.ts';
import { finishFolders } from '../../lib/archives/folder-writer.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { bench, listing, rejected } from './archive-bench.ts';
import { asiMode, paxEntry, tarGz, zip, type TarEntry, type ZipEntry } from './craft.ts';

const run = promisify(execFile);

describe('modes and times', () => {
  const files: [UnpackedFormat, Buffer][] = [
    [
      'tar.gz',
      tarGz([
        { name: 'd/', type: '5', mode: 0o1750 },
        { name: 'd/f', mode: 0o6664 },
        { name: 'late/f', mode: 0o600 },
        { name: 'late/', type: '5', mode: 0o2500 },
        { name: 'implied/f', mode: 0o444 },
      ]),
    ],
    [
      'zip',
      zip([
        { name: 'd/', mode: 0o041750 },
        { name: 'd/f', mode: 0o106664 },
        { name: 'late/f', mode: 0o100600 },
        { name: 'late/', mode: 0o042500 },
        { name: 'implied/f', mode: 0o100444 },
      ]),
    ],
  ];

  it.each(files)('%s: keeps permission bits, and drops set-id and sticky bits', async (format, bytes) => {
    const { archive, into } = await bench(bytes);
    await unpackArchive({ path: archive, format, into });
    const modes = async (name: string) => ((await stat(join(into, name))).mode & 0o7777).toString(8);
    expect(await Promise.all(['d', 'd/f', 'late', 'late/f', 'implied', 'implied/f'].map(modes))).toEqual([
      ...['750', '664', '500', '600', '755', '444'],
    ]);
  });

  it('takes the modes of all kinds of Unix, and those that stand beside', async () => {
    const { archive, into } = await bench(
      zip([
        { name: 'darwin', mode: 0o100640, host: 19 },
        { name: 'ant', mode: 0, extra: asiMode(0o100750) },
        { name: 'input', content: 'x', mode: 0o010600 },
      ]),
    );
    await unpackArchive({ path: archive, format: 'zip', into });
    const modes = ['darwin', 'ant', 'input'].map(async (name) => (await stat(join(into, name))).mode.toString(8));
    expect(await Promise.all(modes)).toEqual(['100640', '100750', '100600']);
  });

  it('takes the usual modes where the archive has none', async () => {
    const { archive, into } = await bench(
      zip([
        { name: 'd/', host: 0, mode: 0o7 },
        { name: 'd/f', host: 0, mode: 0o7 },
      ]),
    );
    await unpackArchive({ path: archive, format: 'zip', into });
    expect((await stat(join(into, 'd'))).mode & 0o7777).toBe(0o755);
    expect((await stat(join(into, 'd', 'f'))).mode & 0o7777).toBe(0o644);
  });

  it('keeps times of pax to their fractions, and of no archive beyond those of a file system', async () => {
    const { archive, into } = await bench(
      tarGz([
        paxEntry({ mtime: '981173106.25' }),
        { name: 'a' },
        paxEntry({ mtime: '-86400.5' }),
        { name: 'b' },
        paxEntry({ mtime: '999999999999' }),
        { name: 'c' },
      ]),
    );
    await unpackArchive({ path: archive, format: 'tar.gz', into });
    expect((await stat(join(into, 'a'))).mtimeMs).toBe(981_173_106_250);
    expect((await stat(join(into, 'b'))).mtimeMs).toBe(-86_400_500);
    expect(await listing(into)).toEqual(['a', 'b', 'c']);
  });

  it('zip: keeps times of Info-ZIP, also those after 2038', async () => {
    const changed = (at: Date): Buffer => {
      const field = Buffer.from('555405000100000000', 'hex');
      field.writeUInt32LE(at.getTime() / 1000, 5);
      return field;
    };
    const times = { a: new Date('2001-02-03T04:05:07Z'), b: new Date('2040-01-01T00:00:01Z') };
    const entries = Object.entries(times).map(([name, at]): ZipEntry => ({ name, extra: changed(at) }));
    const { archive, into } = await bench(zip(entries));
    await unpackArchive({ path: archive, format: 'zip', into });
    for (const [name, at] of Object.entries(times)) expect((await stat(join(into, name))).mtime).toEqual(at);
  });

  it.skipIf(lacks('linux', 'root'))(
    'unpacks and edits what its modes would forbid, as a user like others',
    async () => {
      const { root, archive, into } = await bench(
        tarGz([
          { name: 'd/', type: '5', mode: 0o500 },
          { name: 'd/f', mode: 0o400 },
          { name: 'closed/g', mode: 0o000 },
          { name: 'closed/', type: '5', mode: 0o000 },
        ]),
      );
      for (const path of [root, join(root, 'work')]) await chmod(path, 0o777);
      process.seteuid!(65_534);
      try {
        const { folders } = await unpackFiles({ path: archive, format: 'tar.gz', into });
        await writeFile(join(into, 'd', 'added'), 'x');
        await finishFolders(into, folders);
      } finally {
        process.seteuid!(0);
      }
      expect(await listing(into)).toEqual(['closed', 'closed/g', 'd', 'd/added', 'd/f']);
      expect((await stat(join(into, 'closed'))).mode & 0o7777).toBe(0);
    },
  );
});

describe('links and devices', () => {
  const first: TarEntry = { name: 'first', content: 'y' };

  it('makes no link before the bytes are verified', async () => {
    const bytes = tarGz([{ name: 'l', type: '2', linkName: 'first' }, first]);
    const { into } = await bench(bytes);
    const source: ByteSource = {
      sizeBytes: bytes.length,
      read: (position, buffer) => Promise.resolve(bytes.copy(buffer, 0, position)),
    };
    const before = Promise.withResolvers<string[]>();
    const verified = async () => before.resolve(await listing(into));
    const unpacking = unpackFiles({ path: '', format: 'tar.gz', into }, { source, verified });
    expect(await before.promise).toEqual(['first']);
    await unpacking;
    expect(await listing(into)).toEqual(['first', 'l']);
    await rm(into, { recursive: true });
    const wrong = () => Promise.reject(new IsthmusError('PACKAGE_HASH_MISMATCH', 'wrong'));
    const rejecting = unpackFiles({ path: '', format: 'tar.gz', into }, { source, verified: wrong });
    await expect(rejecting).rejects.toMatchObject({ code: 'PACKAGE_HASH_MISMATCH' });
    await expect(readdir(into)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each<[string, TarEntry[], ErrorCode]>([
    ['symbolic link out', [{ name: 'l', type: '2', linkName: '../..' }], 'PACKAGE_LINK'],
    ['symbolic link to the system', [{ name: 'l', type: '2', linkName: '/etc/passwd' }], 'PACKAGE_LINK'],
    ['symbolic link out by a folder', [{ name: 'd/l', type: '2', linkName: 'e/../../../x' }], 'PACKAGE_LINK'],
    ['symbolic link to itself', [{ name: 'l', type: '2', linkName: 'l' }], 'PACKAGE_LINK'],
    [
      'two links that each stay inside and leave together',
      [
        { name: 'd/e/up', type: '2', linkName: '../..' },
        { name: 'out', type: '2', linkName: 'd/e/up/..' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'two links, the later of which makes the first leave',
      [
        { name: 'out', type: '2', linkName: 'd/e/up/../x' },
        { name: 'd/e/up', type: '2', linkName: '../..' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'a file through a link before it',
      [
        { name: 'd/x', content: 'z' },
        { name: 'l', type: '2', linkName: 'd' },
        { name: 'l/y', content: 'z' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'a file through a link after it',
      [
        { name: 'l/y', content: 'z' },
        { name: 'l', type: '2', linkName: 'd' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'a folder in place of a link',
      [
        { name: 'l', type: '2', linkName: 'd' },
        { name: 'l/', type: '5' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'a link through a link',
      [
        { name: 'l', type: '2', linkName: 'd' },
        { name: 'l/m', type: '2', linkName: 'first' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'a file in place of a link',
      [
        { name: 'l', type: '2', linkName: 'd' },
        { name: 'l', content: 'z' },
      ],
      'PACKAGE_NAME',
    ],
    ['hard link to the system', [{ name: 'l', type: '1', linkName: '/etc/passwd' }], 'PACKAGE_LINK'],
    ['hard link out', [{ name: 'l', type: '1', linkName: '../../canary' }], 'PACKAGE_LINK'],
    ['hard link to itself', [{ name: 'l', type: '1', linkName: 'l' }], 'PACKAGE_LINK'],
    ['hard link to a file after it', [{ name: 'l', type: '1', linkName: 'z' }, { name: 'z' }], 'PACKAGE_LINK'],
    [
      'hard link to a link, which leads out from where it is',
      [
        { name: 'd/l', type: '2', linkName: '../first' },
        { name: 'm', type: '1', linkName: 'd/l' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'a file through a hard link to a link',
      [
        { name: 'l', type: '2', linkName: 'd' },
        { name: 'm', type: '1', linkName: 'l' },
        { name: 'm/x', content: 'z' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'hard link to a link after it',
      [
        { name: 'm', type: '1', linkName: 'l' },
        { name: 'l', type: '2', linkName: 'first' },
      ],
      'PACKAGE_LINK',
    ],
    [
      'hard link to a folder',
      [
        { name: 'd/', type: '5' },
        { name: 'm', type: '1', linkName: 'd' },
      ],
      'PACKAGE_LINK',
    ],
    ['character device', [{ name: 'null', type: '3' }], 'PACKAGE_ENTRY'],
    ['block device', [{ name: 'sda', type: '4' }], 'PACKAGE_ENTRY'],
    ['pipe', [{ name: 'pipe', type: '6' }], 'PACKAGE_ENTRY'],
    ['sparse file', [{ name: 'sparse', type: 'S' }], 'PACKAGE_BOMB'],
  ])('tar: %s', (_, entries, code) => rejected('tar.gz', tarGz([first, ...entries]), code));

  it.each<[string, ZipEntry[], ErrorCode]>([
    ['symbolic link out', [{ name: 'l', content: '../..', mode: 0o120777 }], 'PACKAGE_LINK'],
    ['symbolic link to nothing', [{ name: 'l', content: '', mode: 0o120777 }], 'PACKAGE_LINK'],
    ['symbolic link of 5,000 bytes', [{ name: 'l', content: 'x/'.repeat(2500), mode: 0o120777 }], 'PACKAGE_LINK'],
    [
      'two links that each stay inside and leave together',
      [
        { name: 'd/e/up', content: '../..', mode: 0o120777 },
        { name: 'out', content: 'd/e/up/..', mode: 0o120777 },
      ],
      'PACKAGE_LINK',
    ],
    [
      'a file through a link',
      [
        { name: 'l', content: 'd', mode: 0o120777 },
        { name: 'l/x', content: 'z' },
      ],
      'PACKAGE_LINK',
    ],
    ['device', [{ name: 'l', mode: 0o020666 }], 'PACKAGE_ENTRY'],
    ['pipe', [{ name: 'l', mode: 0o010666 }], 'PACKAGE_ENTRY'],
  ])('zip: %s', (_, entries, code) => rejected('zip', zip([{ name: 'first', content: 'y' }, ...entries]), code));

  it('GNU tar of a tree with a link through which a file is then written', async () => {
    const root = await tempDir();
    await mkdir(join(root, 'in'));
    await symlink('/tmp', join(root, 'in', 'out'));
    await run('tar', ['-czf', join(root, 'a.tgz'), '-C', join(root, 'in'), 'out']);
    await rejected('tar.gz', await readFile(join(root, 'a.tgz')), 'PACKAGE_LINK');
  });

  const kept: [UnpackedFormat, Buffer][] = [
    [
      'tar.gz',
      tarGz([
        { name: 'lib/libx.so', type: '2', linkName: './libx.so.1' },
        { name: 'lib/libx.so.1', content: 'y' },
        { name: 'bin/x', type: '2', linkName: '../lib/libx.so' },
        { name: 'current', type: '2', linkName: 'bin/..' },
        { name: 'later', type: '2', linkName: 'created/by/a/script' },
        paxEntry({ mtime: '981173106' }),
        { name: 'l'.repeat(90), type: '2', linkName: 'lib' },
      ]),
    ],
    [
      'zip',
      zip([
        { name: 'lib/libx.so', content: './libx.so.1', mode: 0o120777 },
        { name: 'lib/libx.so.1', content: 'y' },
        { name: 'bin/x', content: '../lib/libx.so', mode: 0o120777 },
        { name: 'current', content: 'bin/..', mode: 0o120777 },
        { name: 'later', content: 'created/by/a/script', mode: 0o120777 },
        { name: 'l'.repeat(90), content: 'lib', mode: 0o120777 },
      ]),
    ],
  ];

  it.each(kept)('%s: keeps links that stay inside', async (format, bytes) => {
    const { archive, into } = await bench(bytes);
    expect(await unpackArchive({ path: archive, format, into })).toMatchObject({ files: 1, bytes: 1 });
    const targets = ['lib/libx.so', 'bin/x', 'current', 'later', 'l'.repeat(90)].map((name) =>
      readlink(join(into, name)),
    );
    expect(await Promise.all(targets)).toEqual([
      './libx.so.1',
      '../lib/libx.so',
      'bin/..',
      'created/by/a/script',
      'lib',
    ]);
    expect(await readFile(join(into, 'current', 'bin', 'x'), 'utf8')).toBe('y');
  });

  it('keeps hard links to files of its own', async () => {
    const root = await tempDir();
    await mkdir(join(root, 'in'));
    await writeFile(join(root, 'in', 'a'), 'one');
    for (const name of ['b', 'c']) await link(join(root, 'in', 'a'), join(root, 'in', name));
    await run('tar', ['-czf', join(root, 'a.tgz'), '-C', join(root, 'in'), '.']);
    const into = join(root, 'out');
    expect(await unpackArchive({ path: join(root, 'a.tgz'), format: 'tar.gz', into })).toMatchObject({
      files: 3,
      bytes: 3,
    });
    expect((await stat(join(into, 'c'))).nlink).toBe(3);
    expect(await readFile(join(into, 'c'), 'utf8')).toBe('one');
  });

  it('keeps the links of a tree that is copied by hard links', async () => {
    const root = await tempDir();
    await mkdir(join(root, 'in', '1', 'lib'), { recursive: true });
    await writeFile(join(root, 'in', '1', 'lib', 'x.1'), 'one');
    await symlink('x.1', join(root, 'in', '1', 'lib', 'x'));
    for (const copy of ['2', '3']) await run('cp', ['-al', '1', copy], { cwd: join(root, 'in') });
    await run('tar', ['--sort=name', '-czf', join(root, 'a.tgz'), '-C', join(root, 'in'), '.']);
    const into = join(root, 'out');
    expect(await unpackArchive({ path: join(root, 'a.tgz'), format: 'tar.gz', into })).toMatchObject({
      files: 3,
      bytes: 3,
    });
    for (const copy of ['1', '2', '3']) expect(await readlink(join(into, copy, 'lib', 'x'))).toBe('x.1');
    expect((await stat(join(into, '2', 'lib', 'x'))).nlink).toBe(3);
  });

  it('never resolves to anything outside, whatever tree of links an archive has', async () => {
    const part = fc.constantFrom('a', 'b', 'c', '..', '.', '');
    const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const name = fc
      .array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join('/'));
    const links = fc.array(fc.record({ name, linkName: path, copiesLast: fc.boolean() }), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(links, async (entries) => {
        const tar = tarGz([
          { name: 'x/y' },
          ...entries.map(({ name: own, linkName, copiesLast }, at): TarEntry => {
            const last = copiesLast ? entries[at - 1]?.name : undefined;
            return { name: own, type: last === undefined ? '2' : '1', linkName: last ?? linkName };
          }),
        ]);
        const { archive, into } = await bench(tar);
        const rejection = await unpackArchive({ path: archive, format: 'tar.gz', into }).then(
          () => undefined,
          (thrown: { code?: string }) => thrown.code,
        );
        if (rejection !== undefined) expect(rejection).toMatch(/^PACKAGE_(LINK|NAME)$/);
        for (const entry of rejection === undefined ? entries : []) {
          const real = await realpath(join(into, entry.name)).catch((thrown: { code?: string }) => thrown.code);
          expect(real === 'ENOENT' || real === 'ENOTDIR' || `${real}/`.startsWith(`${into}/`), `${real}`).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });
});
