// Unpacking: a packer's archives come out whole; an attacker's are rejected and leave nothing behind.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { chmod, mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkArchive, unpackArchive, type UnpackedFormat } from '../../lib/archives/archive.ts';
import { tempDir } from '../support/temp.ts';
import { bench, listing, rejected } from './archive-bench.ts';
import { paxEntry, tarEntry, tarGz, zip, type TarEntry, type ZipEntry } from './craft.ts';

const run = promisify(execFile);

describe('what a packer makes', () => {
  async function tree(): Promise<string> {
    const root = await tempDir();
    await mkdir(join(root, 'in', 'bin', 'deep'), { recursive: true });
    await mkdir(join(root, 'in', 'empty'), { mode: 0o700 });
    await writeFile(join(root, 'in', 'bin', 'start.sh'), '#!/bin/sh\n');
    await chmod(join(root, 'in', 'bin', 'start.sh'), 0o4775);
    await writeFile(join(root, 'in', 'bin', 'deep', 'größe – λ.txt'), 'x'.repeat(300_000), { mode: 0o600 });
    await writeFile(join(root, 'in', 'none'), '');
    await mkdir(join(root, 'in', 'd'.repeat(120)));
    await writeFile(join(root, 'in', 'd'.repeat(120), 'n'.repeat(150)), 'long');
    for (const name of ['bin/start.sh', 'empty', 'bin']) await utimes(join(root, 'in', name), packedAt, packedAt);
    return root;
  }
  const packedAt = new Date('2001-02-03T04:05:06Z');
  const expected = [
    'bin', 'bin/deep', 'bin/deep/größe – λ.txt', 'bin/start.sh', 'd'.repeat(120), `${'d'.repeat(120)}/${'n'.repeat(150)}`, 'empty', 'none',
  ]; // prettier-ignore

  async function comesOutWhole(root: string, archive: string, format: UnpackedFormat): Promise<void> {
    const into = join(root, 'out');
    const contents = await unpackArchive({ path: join(root, archive), format, into });
    expect(contents).toMatchObject({ files: 4, bytes: 300_014 });
    expect(await listing(into)).toEqual(expected);
    expect(await readFile(join(into, 'bin/deep/größe – λ.txt'), 'utf8')).toBe('x'.repeat(300_000));
    const facts = async (name: string) => {
      const { mode, mtime } = await stat(join(into, name));
      return [(mode & 0o7777).toString(8), mtime];
    };
    expect(await facts('bin/start.sh')).toEqual(['775', packedAt]);
    expect(await facts('empty')).toEqual(['700', packedAt]);
    expect(await facts('bin')).toEqual(['755', packedAt]);
    expect((await facts('bin/deep/größe – λ.txt'))[0]).toBe('600');
    expect((await facts('.'))[0]).toBe('755');
    expect(await checkArchive({ path: join(root, archive), format })).toEqual(contents);
  }

  it.each(['gnu', 'pax'])('GNU tar, format %s', async (format) => {
    const root = await tree();
    await run('tar', [`--format=${format}`, '-czf', join(root, 'a.tgz'), '-C', join(root, 'in'), '.']);
    await comesOutWhole(root, 'a.tgz', 'tar.gz');
  });

  it('yazl', async () => {
    const root = await tree();
    const { ZipFile } = await import('yazl');
    const file = new ZipFile();
    for (const name of expected) {
      const path = join(root, 'in', name);
      const { mode, mtime } = await stat(path);
      if ((mode & constants.S_IFMT) === constants.S_IFDIR) file.addEmptyDirectory(name, { mode, mtime });
      else file.addFile(path, name);
    }
    file.end();
    const chunks: Buffer[] = [];
    for await (const chunk of file.outputStream) chunks.push(chunk as Buffer);
    await writeFile(join(root, 'a.zip'), Buffer.concat(chunks));
    await comesOutWhole(root, 'a.zip', 'zip');
  });

  it('a nupkg, whose names are URIs', async () => {
    const { archive, into } = await bench(
      zip([
        { name: 'content/a%20b%2Bc.txt', content: 'x' },
        { name: 'Acme.nuspec', content: '<package/>' },
      ]),
    );
    await unpackArchive({ path: archive, format: 'nupkg', into });
    expect(await listing(into)).toEqual(['Acme.nuspec', 'content', 'content/a b+c.txt']);
  });

  it('ten thousand entries, and folders that come after their files or twice', async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => ({
      name: `d${i % 10}/f${i}`,
      content: i % 2 === 0 ? '' : 'x',
    }));
    const { archive, into } = await bench(tarGz([...many, { name: 'd1/', type: '5' }, { name: './d1', type: '5' }]));
    expect(await unpackArchive({ path: archive, format: 'tar.gz', into })).toEqual({
      files: 10_000,
      bytes: 5_000,
      entries: 10_002,
    });
  });

  it('rejects a folder that is there already, and leaves it alone', async () => {
    const { archive, into } = await bench(tarGz([{ name: 'a' }]));
    await mkdir(into);
    await writeFile(join(into, 'mine'), '');
    await expect(unpackArchive({ path: archive, format: 'tar.gz', into })).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await listing(into)).toEqual(['mine']);
  });
});

describe('bombs', () => {
  const zeros = Buffer.alloc(8 * 1024 * 1024);

  it.each(['tar.gz', 'zip'] as const)('%s: more bytes than allowed, by what is written', async (format) => {
    const bytes = format === 'zip' ? zip([{ name: 'a', content: zeros }]) : tarGz([{ name: 'a', content: zeros }]);
    await rejected(format, bytes, 'PACKAGE_BOMB', { maxBytes: 1024 * 1024 });
  });

  it('takes an empty disk image, however small its archive', async () => {
    const zip80 = zip([{ name: 'disk.img', content: Buffer.alloc(80 * 1024 * 1024) }]);
    const { archive } = await bench(zip80);
    expect(zip80.length).toBeLessThan(100_000);
    expect(await checkArchive({ path: archive, format: 'zip' })).toEqual({
      files: 1,
      bytes: 80 * 1024 * 1024,
      entries: 1,
    });
  });

  it.each(['tar.gz', 'zip'] as const)(
    '%s: stops before the disk is full, and removes what it wrote',
    async (format) => {
      const bytes = format === 'zip' ? zip([{ name: 'a', content: zeros }]) : tarGz([{ name: 'a', content: zeros }]);
      const { archive, into, root } = await bench(bytes);
      const limits = { reserveBytes: Number.MAX_SAFE_INTEGER };
      await expect(unpackArchive({ path: archive, format, into, limits })).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(await listing(join(root, 'work'))).toEqual([]);
      expect(await checkArchive({ path: archive, format, limits })).toMatchObject({ files: 1 });
    },
  );

  it('zip: a header that claims less than there is', async () => {
    await rejected('zip', zip([{ name: 'a', content: zeros, size: 10 }]), 'PACKAGE_FORMAT');
  });

  it('too many entries', async () => {
    const entries = Array.from({ length: 1001 }, (_, i) => ({ name: `f${i}` }));
    await rejected('zip', zip(entries), 'PACKAGE_BOMB', { maxEntries: 1000 });
    await rejected('tar.gz', tarGz(entries), 'PACKAGE_BOMB', { maxEntries: 1000 });
  });

  it('tar: nothing but headers', async () => {
    const folders = Buffer.concat(Array.from({ length: 20_000 }, () => tarEntry({ name: 'd/', type: '5' })));
    await rejected('tar.gz', tarGz([folders]), 'PACKAGE_BOMB', { maxEntries: 1000 });
  });

  it('tar: an extended header of a megabyte', () =>
    rejected('tar.gz', tarGz([paxEntry({ comment: 'x'.repeat(1024 * 1024) }), { name: 'a' }]), 'PACKAGE_BOMB'));

  it('tar: endless padding after the end', async () => {
    const bytes = tarGz([{ name: 'a', content: 'x' }, Buffer.alloc(1024), zeros, zeros]);
    await rejected('tar.gz', bytes, 'PACKAGE_BOMB', { maxBytes: 1024 * 1024, maxOverheadBytes: 40 * 1024 });
  });
});

describe('not an archive', () => {
  const good = tarGz([{ name: 'a', content: 'x'.repeat(5000) }]);
  it.each<[string, UnpackedFormat, Buffer]>([
    ['empty tar.gz', 'tar.gz', Buffer.alloc(0)],
    ['empty zip', 'zip', Buffer.alloc(0)],
    ['text', 'tar.gz', Buffer.from('hello')],
    ['text as zip', 'zip', Buffer.from('hello')],
    ['a zip pushed as tar.gz', 'tar.gz', zip([{ name: 'a', content: 'x' }])],
    ['a tar.gz pushed as zip', 'zip', good],
    ['gzip of text', 'tar.gz', gzipSync('hello '.repeat(1000))],
    ['gzip of nothing', 'tar.gz', gzipSync('')],
    ['gzip of a gzip', 'tar.gz', gzipSync(good)],
    ['a tar with no entries', 'tar.gz', tarGz([])],
    ['a tar of folders', 'tar.gz', tarGz([{ name: 'd/', type: '5' }])],
    ['cut gzip', 'tar.gz', good.subarray(0, good.length - 20)],
    [
      'cut tar',
      'tar.gz',
      tarGz([tarEntry({ name: 'a', content: 'x'.repeat(5000) }).subarray(0, 2048)], { end: false }),
    ],
    [
      'a flipped checksum',
      'tar.gz',
      tarGz([Buffer.from(tarEntry({ name: 'a', content: 'x' }).toString('latin1').replace('a', 'b'), 'latin1')]),
    ],
    ['cut zip', 'zip', zip([{ name: 'a', content: 'x' }]).subarray(0, 50)],
    ['encrypted zip', 'zip', zip([{ name: 'a', content: 'x', flags: 0x801 }])],
    ['unknown compression', 'zip', zip([{ name: 'a', content: 'x', method: 12 }])],
  ])('%s', (_, format, bytes) => rejected(format, bytes, 'PACKAGE_FORMAT'));

  it.each<[string, Buffer, string]>([
    ['no bytes', Buffer.alloc(0), 'the package is empty'],
    ['gzip of nothing', gzipSync(''), 'there is nothing in the gzip'],
    ['a tar with no entries', tarGz([]), 'the archive has no files'],
    ['a tar with no entries, as GNU tar pads it', gzipSync(Buffer.alloc(10_240)), 'the archive has no files'],
    ['a tar of folders', tarGz([{ name: 'd/', type: '5' }]), 'the archive has no files'],
    ['gzip of text', gzipSync('hello '.repeat(1000)), 'not a tar, or its beginning is damaged'],
    ['gzip of a gzip', gzipSync(good), 'what is inside the gzip is not a tar'],
    ['text, then the end of a tar', gzipSync(Buffer.concat([Buffer.alloc(512, 'x'), Buffer.alloc(1024)])), 'not a tar'],
    ['an entry and text', tarGz([{ name: 'a', content: 'x' }, Buffer.alloc(512, 'x')]), 'the tar inside is damaged'],
  ])('says what is true of %s', async (_, bytes, detail) => {
    const { archive } = await bench(bytes);
    await expect(checkArchive({ path: archive, format: 'tar.gz' })).rejects.toMatchObject({
      code: 'PACKAGE_FORMAT',
      message: expect.stringContaining(detail) as string,
    });
  });
});

describe('properties', () => {
  const anyName = fc.oneof(
    fc.constantFrom('..', '../x', '/x', 'a', 'A', 'a/b', 'a/', './a', 'C:x', 'a\\b', '', '.', 'a//b', 'a/../b'),
    fc.string({ maxLength: 12 }),
    fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  );
  const content = fc.string({ maxLength: 600 });

  /** Any archive is either unpacked in `into`, or rejected with a code, and `into` is then gone. */
  async function staysInside(format: UnpackedFormat, bytes: Buffer): Promise<void> {
    const { root, archive, into } = await bench(bytes);
    const outcome = await unpackArchive({ path: archive, format, into }).then(
      () => 'unpacked',
      (thrown: { code?: string }) => thrown.code,
    );
    expect(outcome).toMatch(/^(unpacked|PACKAGE_(NAME|PATH_ESCAPE|LINK|ENTRY|FORMAT|BOMB))$/);
    expect((await listing(root)).filter((path) => !path.startsWith(join('work', 'staging')))).toEqual([
      'archive',
      'canary',
      'work',
    ]);
    if (outcome !== 'unpacked') expect(await listing(join(root, 'work'))).toEqual([]);
  }

  it('any tar', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record<TarEntry>({
            name: anyName,
            content,
            type: fc.constantFrom('0', '0', '0', '5', '1', '2', '6', 'L', 'x', 'g', 'K', 'Z'),
            mode: fc.nat(0o7777),
            linkName: fc.constantFrom('', '..', 'a', 'a/b'),
          }),
          { maxLength: 5 },
        ),
        (entries) => staysInside('tar.gz', tarGz(entries)),
      ),
      { numRuns: 150 },
    ));

  it('any zip', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record<ZipEntry>({
            name: anyName,
            content,
            mode: fc.constantFrom(0o100644, 0o100755, 0o040755, 0o120777, 0),
            method: fc.constantFrom(0, 8),
          }),
          { maxLength: 5 },
        ),
        fc.constantFrom<UnpackedFormat>('zip', 'nupkg'),
        (entries, format) => staysInside(format, zip(entries)),
      ),
      { numRuns: 150 },
    ));

  it('an archive with any byte flipped', async () => {
    const archives = {
      zip: zip([
        { name: 'a/b', content: 'hello' },
        { name: 'c', content: 'x' },
      ]),
      'tar.gz': tarGz([{ name: 'a/b', content: 'hello' }, { name: 'c' }]),
    };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<'zip' | 'tar.gz'>('zip', 'tar.gz'),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (format, at, mask) => {
          const bytes = Buffer.from(archives[format]);
          bytes[at % bytes.length]! ^= mask;
          await staysInside(format, bytes);
        },
      ),
      { numRuns: 200 },
    );
  });
});
