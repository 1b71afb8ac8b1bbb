// Archives that lie: one reader finds other files in them than the next. Each is rejected with what is wrong with it.
import { writeFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../contract/errors.ts';
import { checkArchive } from '../../lib/archives/archive.ts';
import { bench, rejected } from './archive-bench.ts';
import {
  asiMode,
  paxEntry,
  sizes64,
  tarEntry,
  tarGz,
  zip,
  zipDescriptor,
  type TarEntry,
  type ZipEntry,
} from './craft.ts';

const junk = Buffer.from('junk');

describe('zip', () => {
  const a: ZipEntry = { name: 'a', content: 'one' };
  const b: ZipEntry = { name: 'b', content: 'two' };
  const hidden = zip([{ name: 'b', content: 'x', method: 0 }]);
  const whole = zip([a]);
  const mark = Buffer.from(`504b0506${'ff'.repeat(18)}`, 'hex');
  const link: ZipEntry = { name: 'l', content: 'a', mode: 0o120777, method: 0 };

  it.each<[string, ErrorCode, string, Buffer]>([
    [
      'another name that escapes',
      'PACKAGE_PATH_ESCAPE',
      'outside the package: "../../etc/x"',
      zip([{ ...a, own: { name: '../../etc/x' } }]),
    ],
    ['another name', 'PACKAGE_NAME', 'two names, "a" and "b"', zip([{ ...a, own: { name: 'b' } }])],
    ['another method', 'PACKAGE_FORMAT', 'differs from the directory', zip([{ ...a, own: { method: 0 } }])],
    ['other flags', 'PACKAGE_FORMAT', 'differs from the directory', zip([{ ...a, own: { flags: 0 } }])],
    ['a descriptor that the directory denies', 'PACKAGE_FORMAT', 'differs', zip([{ ...a, own: { flags: 0x808 } }])],
    ['another size', 'PACKAGE_FORMAT', 'differs from the directory', zip([{ ...a, own: { size: 2 } }])],
    ['another packed size', 'PACKAGE_FORMAT', 'differs from the directory', zip([{ ...a, own: { packedSize: 2 } }])],
    ['another checksum', 'PACKAGE_FORMAT', 'differs from the directory', zip([{ ...a, own: { crc: 1 } }])],
    ['the checksum of other content', 'PACKAGE_FORMAT', 'checksum of an entry', zip([{ ...a, crc: 1 }])],
    ['a size that is not so', 'PACKAGE_FORMAT', 'another size', zip([{ ...a, size: 2 }])],
    ['bytes behind the deflated ones', 'PACKAGE_FORMAT', 'another size', zip([{ ...a, tail: junk }])],
    [
      'the descriptor of other content',
      'PACKAGE_FORMAT',
      'what follows the content',
      zip([{ ...a, flags: 0x808, descriptor: zipDescriptor('two') }]),
    ],
    ['no descriptor where there is to be one', 'PACKAGE_FORMAT', 'what follows', zip([{ ...a, flags: 0x808 }, b])],
    ['fewer records than there are', 'PACKAGE_FORMAT', 'claims 1 entries and has more', zip([a, b], { records: 1 })],
    ['more records than there are', 'PACKAGE_FORMAT', 'claims 3 entries and has fewer', zip([a, b], { records: 3 })],
    ['two counts', 'PACKAGE_FORMAT', 'counts its entries twice', zip([a], { recordsHere: 2 })],
    ['two ends, of 32 and 64 bits', 'PACKAGE_FORMAT', 'two ends claim', zip([a, b], { records: 1, records64: 2 })],
    ['a directory that is too large', 'PACKAGE_FORMAT', 'larger than the file', zip([a], { directoryBytes: 5000 })],
    ['a directory that is too small', 'PACKAGE_FORMAT', 'does not claim', zip([a, b], { directoryBytes: 47 })],
    ['bytes before the end', 'PACKAGE_FORMAT', 'does not claim', zip([a], { beforeEnd: junk })],
    ['bytes before the directory', 'PACKAGE_FORMAT', 'no entry claims', zip([a], { beforeDirectory: junk })],
    ['bytes before all entries', 'PACKAGE_FORMAT', 'no entry claims', zip([a], { before: junk })],
    ['bytes between entries', 'PACKAGE_FORMAT', 'no entry claims', zip([{ ...a, after: junk }, b])],
    [
      'an entry that no record names',
      'PACKAGE_FORMAT',
      'no entry claims',
      zip([{ ...a, after: hidden.subarray(0, 32) }]),
    ],
    [
      'an entry in the content of another',
      'PACKAGE_BOMB',
      'share their bytes',
      zip([
        { name: 'a', content: hidden, method: 0 },
        { name: 'b', content: 'x', method: 0, at: 31 },
      ]),
    ],
    ['bytes after the end', 'PACKAGE_FORMAT', 'other bytes follow its end', Buffer.concat([whole, junk])],
    ['another zip in the comment', 'PACKAGE_FORMAT', 'two ends', zip([b], { comment: whole })],
    ['the mark of an end in the comment', 'PACKAGE_FORMAT', 'two ends', zip([a], { comment: mark })],
    ['a directory on another disk', 'PACKAGE_FORMAT', 'one of several parts', zip([a], { directoryDisk: 1 })],
    [
      'a directory on another disk, in 64 bits',
      'PACKAGE_FORMAT',
      'one of several parts',
      zip([a], { records64: 1, directoryDisk: 0xffff, directoryDisk64: 1 }),
    ],
    ['two disks by its locator', 'PACKAGE_FORMAT', 'in another part', zip([a], { records64: 1, disks64: 2 })],
    [
      'a second end of 64 bits within the first',
      'PACKAGE_FORMAT',
      'follow its 64-bit end',
      zip([a], { records64: 1, sector64: Buffer.alloc(56) }),
    ],
    ['an entry on another disk', 'PACKAGE_FORMAT', 'in another part', zip([a, { ...b, disk: 1 }])],
    ['an entry for later readers', 'PACKAGE_FORMAT', 'to need newer readers', zip([{ ...a, version: 47 }])],
    [
      'an entry for later readers, by its own header',
      'PACKAGE_FORMAT',
      'to need newer readers',
      zip([{ ...a, own: { version: 63 } }]),
    ],
    ['a patch', 'PACKAGE_FORMAT', 'encrypted, or a patch', zip([{ ...a, flags: 0x820 }])],
    [
      'two sizes of 64 bits',
      'PACKAGE_FORMAT',
      'tell the same',
      zip([{ ...a, extra: Buffer.concat([sizes64(3, 5), sizes64(1, 2)]) }]),
    ],
    [
      'two sizes of 64 bits in its own header',
      'PACKAGE_FORMAT',
      'tell the same',
      zip([{ ...a, own: { extra: Buffer.concat([sizes64(3, 5), sizes64(1, 2)]) } }]),
    ],
    ['a folder with content', 'PACKAGE_FORMAT', 'a folder has content', zip([a, { name: 'd/', content: 'x' }])],
    [
      'a folder with content that it denies',
      'PACKAGE_FORMAT',
      'a folder has content',
      zip([a, { name: 'd/', content: 'x', size: 0 }]),
    ],
    ['a folder by its mode', 'PACKAGE_FORMAT', 'a folder to some', zip([a, { name: 'd', mode: 0o040755 }])],
    [
      'a folder by its mode, with content',
      'PACKAGE_FORMAT',
      'a folder to some readers and a file to others',
      zip([a, { name: 'd', content: 'x', mode: 0o040755 }]),
    ],
    ...[0, 6, 11, 14].map((host): [string, ErrorCode, string, Buffer] => [
      `a folder by the attributes of host ${host}`,
      'PACKAGE_FORMAT',
      '"d" is a folder to some',
      zip([a, { name: 'd', content: 'x', mode: 0, attributes: 0x10, host }]),
    ]),
    [
      'a volume label by its attributes',
      'PACKAGE_FORMAT',
      '"d" is a volume label to some',
      zip([a, { name: 'd', content: 'x', mode: 0, attributes: 0x08, host: 0 }]),
    ],
    ['a link that is a folder', 'PACKAGE_FORMAT', '"l/" is a link to some', zip([a, { ...link, name: 'l/' }])],
    ...[0, 2, 5, 16, 19, 30].map((host): [string, ErrorCode, string, Buffer] => [
      `a link made by host ${host}`,
      'PACKAGE_FORMAT',
      '"l" is a link to some readers only',
      zip([a, { ...link, host }]),
    ]),
    ...[0, 0o100644].map((mode): [string, ErrorCode, string, Buffer] => [
      `a link by the mode in an extra field, beside the mode ${mode}`,
      'PACKAGE_FORMAT',
      'two modes',
      zip([a, { ...link, mode, extra: asiMode(0o120777) }]),
    ]),
    ...[0, 3, 19].flatMap((host) =>
      [0o020666, 0o060666, 0o140666, 0o010666].map((mode): [string, ErrorCode, string, Buffer] => [
        `mode ${mode.toString(8)} made by host ${host}`,
        'PACKAGE_ENTRY',
        'no file, folder or link',
        zip([a, { name: 'x', mode, host }]),
      ]),
    ),
  ])('%s', (_, code, says, bytes) => rejected('zip', bytes, { code, says }));

  it.each<[string, Buffer]>([
    ['a comment', zip([a], { comment: Buffer.from('made on a Monday') })],
    [
      'a descriptor',
      zip([{ ...a, flags: 0x808, own: { crc: 0, size: 0, packedSize: 0 }, descriptor: zipDescriptor('one') }]),
    ],
    ['a descriptor without signature', zip([{ ...a, flags: 0x808, descriptor: zipDescriptor('one').subarray(4) }])],
    ['an end of 64 bits', zip([a], { records64: 1 })],
    ['an end of 64 bits alone', zip([a], { records: 0xffff, records64: 1 })],
    ['the mark of an end in an entry', zip([{ name: 'a', content: Buffer.concat([mark, junk]), method: 0 }])],
    ['a pipe with content, as Info-ZIP packs its input', zip([{ name: '-', content: 'x', mode: 0o010600 }])],
    ['a folder whose mode is that of a file', zip([a, { name: 'd/', mode: 0o100644 }])],
    ['a zip in the last entry', zip([{ name: 'a', content: zip([b]), method: 0 }])],
  ])('takes %s', async (_, bytes) => {
    const { archive } = await bench(bytes);
    expect(await checkArchive({ path: archive, format: 'zip' })).toMatchObject({ files: 1 });
  });
});

describe('tar', () => {
  const a: TarEntry = { name: 'a', content: 'one' };
  const end = Buffer.alloc(1024);

  it.each<[string, string, Buffer]>([
    ['no end', 'it is cut short', tarGz([a], { end: false })],
    ['half an end', 'it is cut short', tarGz([a, Buffer.alloc(512)], { end: false })],
    ['zeros between entries', 'a block of zeros between entries', tarGz([a, Buffer.alloc(512), { name: 'b' }])],
    ['an entry after the end', 'other bytes follow its end', tarGz([a, end, { name: 'b' }])],
    [
      'junk far after the end',
      'other bytes follow its end',
      tarGz([a, end, Buffer.alloc(600_000), junk], { end: false }),
    ],
    ['a folder with content', 'a folder or a link has content', tarGz([{ name: 'd/', type: '5', size: 512 }, a])],
    [
      'a link with content',
      'a folder or a link has content',
      tarGz([a, { name: 'l', type: '1', linkName: 'a', size: 512 }]),
    ],
    ['a size that is no number', 'no number', tarGz([changed({ ...a, content: 'x' }, 124, 'twelve')])],
    ['a pax size that is no number', 'no number', tarGz([paxEntry({ size: '3e0' }), a])],
    ['another size in pax', 'two sizes', tarGz([paxEntry({ size: '1024' }), a])],
    ['two names in extended headers', 'tell the same', tarGz([paxEntry({ path: 'b' }), paxEntry({ path: 'c' }), a])],
    ['a name for all entries', 'a global header names a file', tarGz([paxEntry({ path: 'b' }, 'g'), a])],
    ['an extended header with no entry', 'has no entry', tarGz([a, paxEntry({ path: 'b' })])],
    ['a volume after the first', 'one of several volumes', tarGz([{ name: 'a', type: 'M', content: 'x' }])],
    [
      'a volume after the first, in pax',
      'one of several volumes',
      tarGz([paxEntry({ 'GNU.volume.filename': 'a', 'GNU.volume.offset': '512' }), a]),
    ],
    ['a record that is too long', 'header is damaged', tarGz([{ name: 'x', type: 'x', content: '99 path=b\n' }, a])],
  ])('%s', (_, says, bytes) => rejected('tar.gz', bytes, { code: 'PACKAGE_FORMAT', says }));

  it('takes the name of a record by its length, not one that stands in another’s value', async () => {
    const { archive } = await bench(tarGz([paxEntry({ comment: 'b\n16 path=../../x\n' }), a]));
    expect(await checkArchive({ path: archive, format: 'tar.gz' })).toMatchObject({ files: 1 });
  });

  it.each([
    ['GNU', { name: Buffer.from('../B\xfcro', 'latin1'), type: 'V' }],
    ['pax', paxEntry({ 'GNU.volume.label': '../x' }, 'g')],
  ])('takes the label of the whole archive for no file: %s', async (_, label) => {
    const { archive } = await bench(tarGz([label, a]));
    expect(await checkArchive({ path: archive, format: 'tar.gz' })).toMatchObject({ files: 1, bytes: 3 });
  });

  it('takes zeros that fill up a record, and a global comment', async () => {
    const { archive } = await bench(tarGz([paxEntry({ comment: 'abc' }, 'g'), a, end, Buffer.alloc(9000)]));
    expect(await checkArchive({ path: archive, format: 'tar.gz' })).toMatchObject({ files: 1 });
  });
});

describe('gzip', () => {
  const whole = tarGz([{ name: 'a', content: 'one' }]);
  const other = tarGz([{ name: 'b', content: 'two' }]);
  const zeros = Buffer.alloc(3000);

  it.each<[string, string, Buffer]>([
    ['a second stream', 'several streams', Buffer.concat([whole, other])],
    ['a second stream after zeros', 'several streams', Buffer.concat([whole, zeros, other])],
    ['one tar in two streams', 'several streams', Buffer.concat([gzipSync(tarEntry({ name: 'a' })), gzipSync(zeros)])],
    ['bytes after the end', 'other bytes follow its end', Buffer.concat([whole, junk])],
    ['the checksum of other content', 'checksum', changedAt(whole, -8)],
    ['another size', 'another size', changedAt(whole, -4)],
    ['no trailer', 'cut short', whole.subarray(0, -3)],
    ['an unknown flag', 'its header is damaged', changedAt(whole, 3, 0x80)],
    ['a name without end', 'cut short or too long', changedAt(gzipSync('').subarray(0, 10), 3, 8)],
  ])('%s', (_, says, bytes) => rejected('tar.gz', bytes, { code: 'PACKAGE_FORMAT', says }));

  it.each<[string, Buffer]>([
    ['zeros after the end', Buffer.concat([whole, zeros])],
    ['an empty stream after the end', Buffer.concat([whole, gzipSync(''), zeros])],
    [
      'every field of a header',
      Buffer.concat([
        Buffer.from([0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3, 2, 0, 1, 2]),
        Buffer.from('a.tar\0by hand\0\x01\x02', 'latin1'),
        whole.subarray(10),
      ]),
    ],
  ])('takes %s', async (_, bytes) => {
    const { archive } = await bench(bytes);
    expect(await checkArchive({ path: archive, format: 'tar.gz' })).toMatchObject({ files: 1, bytes: 3 });
  });
});

it('any byte changed in a zip, but for the type of an entry, is noticed, or changes nothing that is read', async () => {
  const bytes = zip([
    { name: 'a', content: 'one' },
    { name: 'b', content: 'two' },
  ]);
  const { archive } = await bench(bytes);
  const contents = await checkArchive({ path: archive, format: 'zip' });
  // Only the mode in the directory says that an entry is a link, and not a file.
  const others = [...bytes.keys()].filter((at) => !bytes.subarray(at - 41, at - 37).equals(RECORD));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...others), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
      await writeFile(archive, changedAt(bytes, at, mask));
      const outcome = await checkArchive({ path: archive, format: 'zip' }).catch(
        (thrown: { code?: string }) => thrown.code,
      );
      if (typeof outcome === 'string') expect(outcome).toMatch(/^PACKAGE_/);
      else expect(outcome).toEqual(contents);
    }),
    { numRuns: 300 },
  );
});

it('a tar that is cut anywhere is noticed', async () => {
  const whole = gunzipSync(tarGz([{ name: 'a', content: 'x'.repeat(2000) }, { name: 'b' }]));
  const { archive } = await bench(Buffer.alloc(0));
  for (let blocks = 0; blocks < whole.length / 512; blocks += 1) {
    await writeFile(archive, gzipSync(whole.subarray(0, blocks * 512)));
    await expect(checkArchive({ path: archive, format: 'tar.gz' })).rejects.toMatchObject({ code: 'PACKAGE_FORMAT' });
  }
});

/** Begins a record of a zip's directory. */
const RECORD = Buffer.from('PK\x01\x02');

/** An entry with other bytes in its header, and the checksum that fits them. */
function changed(entry: TarEntry, at: number, text: string): Buffer {
  const bytes = tarEntry(entry);
  bytes.write(text, at, 'latin1');
  bytes.write('        ', 148, 'latin1');
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
}

/** The bytes with one of them changed; from the end where `at` is negative. */
function changedAt(bytes: Buffer, at: number, mask = 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? bytes.length + at : at]! ^= mask;
  return copy;
}
