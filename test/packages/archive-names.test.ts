// The names of entries: read as the usual tools read them, and none leaves the package.
import { describe, expect, it } from 'vitest';
import { unpackArchive, type UnpackedFormat } from '../../lib/archives/archive.ts';
import type { ErrorCode } from '../../contract/errors.ts';
import { bench, listing, rejected } from './archive-bench.ts';
import { paxEntry, tarEntry, tarGz, unicodePath, zip, type ZipEntry } from './craft.ts';

describe('names', () => {
  const cases: [string, string | Buffer, ErrorCode][] = [
    ['parent', '../canary', 'PACKAGE_PATH_ESCAPE'],
    ['parent inside', 'a/../../canary', 'PACKAGE_PATH_ESCAPE'],
    ['parent that stays inside', 'a/../b', 'PACKAGE_PATH_ESCAPE'],
    ['absolute', '/etc/isthmus', 'PACKAGE_PATH_ESCAPE'],
    ['drive', 'C:\\windows\\x', 'PACKAGE_PATH_ESCAPE'],
    ['drive, relative', 'c:x', 'PACKAGE_PATH_ESCAPE'],
    ['parents by backslashes', '..\\..\\canary', 'PACKAGE_PATH_ESCAPE'],
    ['a backslash first', '\\\\server\\share', 'PACKAGE_PATH_ESCAPE'],
    ['newline', 'a\nb', 'PACKAGE_NAME'],
    ['escape sequence', 'a\u001b[2Jb', 'PACKAGE_NAME'],
    ['not UTF-8', Buffer.from([0x61, 0xff, 0xfe]), 'PACKAGE_NAME'],
    ['overlong UTF-8 of ..', Buffer.from([0x2e, 0xc0, 0xae, 0x2f, 0x61]), 'PACKAGE_NAME'],
    ['nothing', './', 'PACKAGE_NAME'],
  ];

  it.each(cases)('tar: %s', async (_, name, code) => {
    const entry = tarEntry({ name, content: 'x' });
    // A file whose name ends in a slash is a folder to tar; the empty name is only tried where it is a file.
    if (name === './') return;
    await rejected('tar.gz', tarGz([{ name: 'first', content: 'y' }, entry]), code);
  });

  it.each(cases)('zip: %s', async (_, name, code) => {
    await rejected(
      'zip',
      zip([
        { name: 'first', content: 'y' },
        { name: name === './' ? '.' : name, content: 'x' },
      ]),
      code,
    );
  });

  it.each([
    ['NUL', { path: 'a\0b' }, 'PACKAGE_NAME'],
    ['newline', { mtime: '1', path: 'a\nb' }, 'PACKAGE_NAME'],
    ['300 bytes', { path: 'é'.repeat(150) }, 'PACKAGE_NAME'],
    ['2,000 bytes', { path: 'abc/'.repeat(500) + 'x' }, 'PACKAGE_NAME'],
    ['parent', { path: '../canary' }, 'PACKAGE_PATH_ESCAPE'],
    ['a fake record in the name', { path: 'a\n15 path=../x\n' }, 'PACKAGE_NAME'],
    ['sparse', { 'GNU.sparse.major': '1', path: 'a' }, 'PACKAGE_BOMB'],
  ] as const)('tar, PAX: %s', async (_, attributes, code) => {
    await rejected('tar.gz', tarGz([paxEntry(attributes), { name: 'short', content: 'x' }]), code);
  });

  it.each([
    ['NUL', 'a\0b', 'PACKAGE_NAME'],
    ['300 bytes', 'x'.repeat(300), 'PACKAGE_NAME'],
  ] as const)('zip: %s', async (_, name, code) => rejected('zip', zip([{ name, content: 'x' }]), code));

  it('tar, GNU long name: newline', () =>
    rejected(
      'tar.gz',
      tarGz([{ name: '././@LongLink', type: 'L', content: 'a\nb\0' }, { name: 'x' }]),
      'PACKAGE_NAME',
    ));

  it.each(['%2e%2e/canary', '%2e%2e%2fcanary', '..%5ccanary', '%2fetc%2fx'])('nupkg: an escaped parent, %s', (name) =>
    rejected('nupkg', zip([{ name, content: 'x' }]), 'PACKAGE_PATH_ESCAPE'),
  );

  it.each<[string, ZipEntry, ErrorCode]>([
    [
      'an escape by the backslashes of DOS',
      { name: 'a\\..\\..\\canary', content: 'x', host: 0 },
      'PACKAGE_PATH_ESCAPE',
    ],
    [
      'an escape in the name beside the name',
      { name: 'a', flags: 0, content: 'x', extra: unicodePath('a', '../canary') },
      'PACKAGE_PATH_ESCAPE',
    ],
    [
      'an escape in the old name',
      { name: '../canary', flags: 0, content: 'x', extra: unicodePath('../canary', 'a') },
      'PACKAGE_PATH_ESCAPE',
    ],
    ['two names that are UTF-8', { name: 'a', content: 'x', extra: unicodePath('a', 'b') }, 'PACKAGE_NAME'],
    [
      'another name beside the name in its own header',
      { name: 'a', flags: 0, content: 'x', own: { extra: unicodePath('a', 'b') } },
      'PACKAGE_NAME',
    ],
    [
      'two names beside the name, one of which escapes',
      {
        name: 'a',
        flags: 0,
        content: 'x',
        extra: Buffer.concat([unicodePath('a', 'b'), unicodePath('a', '../canary')]),
      },
      'PACKAGE_PATH_ESCAPE',
    ],
    [
      'two names beside the name',
      { name: 'a', flags: 0, content: 'x', extra: Buffer.concat([unicodePath('a', 'b'), unicodePath('b', 'c')]) },
      'PACKAGE_NAME',
    ],
    [
      'two names beside the name in its own header',
      {
        name: 'a',
        flags: 0,
        content: 'x',
        own: { extra: Buffer.concat([unicodePath('a', 'a'), unicodePath('a', '../canary')]) },
      },
      'PACKAGE_PATH_ESCAPE',
    ],
    ['UTF-8 by its flag that is none', { name: Buffer.from([0x61, 0xff]), content: 'x' }, 'PACKAGE_NAME'],
  ])('zip: %s', (_, entry, code) => rejected('zip', zip([entry]), code));

  it.each<[string, UnpackedFormat, Buffer, string[]]>([
    [
      'the backslashes of Windows as folders',
      'zip',
      zip([
        { name: 'bin\\', host: 0, flags: 0 },
        { name: 'bin\\app.exe', content: 'x', host: 0, flags: 0 },
        { name: 'a/b\\c', host: 0, flags: 0 },
      ]),
      ['a', 'a/b\\c', 'bin', 'bin/app.exe'],
    ],
    ['a backslash of Unix as it is', 'zip', zip([{ name: 'a\\b' }]), ['a\\b']],
    ['a backslash in a tar as it is', 'tar.gz', tarGz([{ name: 'a\\b' }]), ['a\\b']],
    ['the code page of DOS', 'zip', zip([{ name: Buffer.from([0x67, 0x72, 0x94, 0xe1, 0x65]), flags: 0 }]), ['größe']],
    ['UTF-8 without its flag', 'zip', zip([{ name: 'größe', flags: 0 }]), ['größe']],
    [
      'the name in UTF-8 beside an old one',
      'zip',
      zip([
        { name: '#U03bb', flags: 0, extra: unicodePath('#U03bb', 'λ'), own: { extra: unicodePath('#U03bb', 'λ') } },
      ]),
      ['λ'],
    ],
    ['not the UTF-8 beside another name', 'zip', zip([{ name: 'a', flags: 0, extra: unicodePath('b', 'λ') }]), ['a']],
    ['names that differ in case', 'zip', zip([{ name: 'Readme' }, { name: 'README' }]), ['README', 'Readme']],
    [
      'what is no escape in a nupkg',
      'nupkg',
      zip([{ name: '100%' }, { name: '50%off' }, { name: '%ff%41' }, { name: 'a%20b%2Bc' }, { name: '%C3%A9' }]),
      ['%ffA', '100%', '50%off', 'a b+c', 'é'],
    ],
    [
      'vendor records first in a pax header',
      'tar.gz',
      tarGz([
        paxEntry({ 'SCHILY.xattr.user.mime_type': 'a\nb', 'LIBARCHIVE.creationtime': '1', path: 'long' }),
        { name: 'a' },
        paxEntry({ 'com.example/key-2 x': 'y', mtime: '1.5', path: 'b' }),
        { name: 'c' },
      ]),
      ['b', 'long'],
    ],
  ])('takes %s', async (_, format, bytes, expected) => {
    const { archive, into } = await bench(bytes);
    await unpackArchive({ path: archive, format, into });
    expect(await listing(into)).toEqual(expected);
  });

  it.each([
    ['the same twice', 'a', './a'],
    ['folder and file', 'a/b', 'a'],
    ['file and folder', 'a', 'a/b'],
  ])('duplicates: %s', async (_, a, b) => {
    await rejected(
      'zip',
      zip([
        { name: a, content: '1' },
        { name: b, content: '2' },
      ]),
      'PACKAGE_NAME',
    );
    await rejected(
      'tar.gz',
      tarGz([
        { name: a, content: '1' },
        { name: b, content: '2' },
      ]),
      'PACKAGE_NAME',
    );
  });
});
