// The built-in feed: versions never change, only packages get in, ranges are served as requested.
import { createHash, randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { listPackages } from '../../server/packages/list.ts';
import { createFeed, type Feed } from '../../server/packages/feed.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { LiveTopology } from '../../server/topology/live.ts';
import { lacks } from '../support/needs.ts';
import { smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { tarGz, zip } from './craft.ts';

const noDownloadTokens = () => {
  throw new Error('no download token is signed or read here');
};

/** No test here asks for sources. */
const topology = new LiveTopology();

let folder: string;
let store: Store;
let feed: Feed;
beforeEach(async () => {
  folder = await tempDir();
  store = await openStore({ dataDir: folder, log: silentLogger() });
  onTestFinished(() => store.close());
  feed = await createFeed({
    store,
    topology,
    dataDir: folder,
    log: silentLogger(),
    signDownloadToken: noDownloadTokens,
    verifyDownloadToken: noDownloadTokens,
  });
});

const app = (text = 'x') =>
  tarGz([
    { name: 'app.js', content: text },
    { name: 'data', content: randomBytes(50_000) },
  ]);
const push = (bytes: Buffer, version = '1.0', more = {}) =>
  feed.push(Readable.from([bytes]), { id: 'Acme.Web', version, ...more }, 'key-1');
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function blobsOnDisk(): Promise<string[]> {
  const names = await readdir(join(folder, 'packages'), { recursive: true });
  return names.filter((name) => /[0-9a-f-]{36,}$/.test(name));
}

describe('pushing', () => {
  const zipped = zip([
    { name: 'META-INF/MANIFEST.MF', content: 'x' },
    { name: 'a', content: 'yy' },
  ]);

  it.each<[string, Buffer, object, object]>([
    ['a zip', zipped, { format: 'zip' }, { unpackedBytes: 3, entries: 2 }],
    ['a jar', zipped, { format: 'jar', fileName: 'a.jar' }, { fileName: 'a.jar', unpackedBytes: 3, entries: 2 }],
    [
      'a wheel without a name',
      zipped,
      { format: 'whl' },
      { fileName: 'Acme.Web.1.0.whl', unpackedBytes: 3, entries: 2 },
    ],
    ['a jar that begins with a script', Buffer.concat([Buffer.from('#!/bin/sh\n'), zipped]), { format: 'jar' }, {}],
    ['a file', randomBytes(100), { format: 'file', fileName: 'app.conf' }, { fileName: 'app.conf' }],
    ['a file without a name', randomBytes(100), { format: 'file' }, { fileName: 'Acme.Web.1.0' }],
  ])('measures what %s is unpacked, and names what is one file', async (_, bytes, more, expected) => {
    const pushed = await push(bytes, '1.0', more);
    expect(pushed).toMatchObject(expected);
    if (!('entries' in expected)) expect(pushed).not.toHaveProperty('entries');
    expect(await feed.find('acme.web', '1.0')).toMatchObject(expected);
  });

  it.each(['../x', '..', 'a/b', 'a\u0000', ''])('takes no file with the name %j', async (fileName) => {
    await expect(push(randomBytes(10), '1.0', { format: 'file', fileName })).rejects.toMatchObject({
      code: 'INVALID_FIELD',
      field: 'fileName',
    });
    expect(await blobsOnDisk()).toEqual([]);
  });

  it('finds a package by any spelling of its version, and shows the one that was pushed, with one event', async () => {
    const bytes = app();
    expect(await push(bytes, '01.0+build.5')).toEqual({
      ...{
        id: 'Acme.Web',
        version: '01.0+build.5',
        sha256: digest(bytes),
        sizeBytes: bytes.length,
        format: 'tar.gz',
        ...{ unpackedBytes: 50_001, entries: 2 },
        created: true,
      },
    });
    for (const version of ['1', '1.0.0.0', '01.0+build.5', '1.00.0+other']) {
      expect(await feed.find('acme.web', version)).toMatchObject({ version: '01.0+build.5', sha256: digest(bytes) });
    }
    expect((await feed.versions('acme.web', { limit: 10 })).items).toMatchObject([{ version: '01.0+build.5' }]);
    const { items } = await store.events.list({ limit: 10, type: 'package.pushed' });
    expect(items).toMatchObject([
      { actor: 'key-1', subject: 'Acme.Web', data: { version: '01.0+build.5', sha256: digest(bytes) } },
    ]);
  });

  it('takes the same bytes again without a change, other bytes never', async () => {
    const bytes = app();
    await push(bytes);
    expect(await push(bytes, '1.0.0')).toMatchObject({ created: false });
    await expect(push(app('other'), '1.0.0.0')).rejects.toMatchObject({ code: 'PACKAGE_EXISTS' });
    expect((await feed.find('Acme.Web', '1.0')).sha256).toBe(digest(bytes));
    expect(await blobsOnDisk()).toEqual([expect.stringContaining(digest(bytes))]);
    expect((await store.events.list({ limit: 10 })).items.length).toBe(1);
  });

  it('lets one of many win that push other bytes at once', async () => {
    const pushes = Array.from({ length: 8 }, (_, i) => push(app(String(i))));
    const outcomes = await Promise.allSettled(pushes);
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'PACKAGE_EXISTS' });
    }
    expect((await feed.versions('acme.web', { limit: 10 })).items.length).toBe(1);
  });

  it.each<[string, Buffer, object, string]>([
    ['nothing', Buffer.alloc(0), {}, 'PACKAGE_FORMAT'],
    ['text', Buffer.from('hello'), {}, 'PACKAGE_FORMAT'],
    ['a zip as tar.gz', zip([{ name: 'a', content: 'x' }]), {}, 'PACKAGE_FORMAT'],
    ['an encrypted zip', zip([{ name: 'a', content: 'x', flags: 0x801 }]), { format: 'zip' }, 'PACKAGE_FORMAT'],
    ['a path out', tarGz([{ name: '../x', content: 'x' }]), {}, 'PACKAGE_PATH_ESCAPE'],
    ['a link', tarGz([{ name: 'x', type: '2', linkName: '/etc/passwd' }]), {}, 'PACKAGE_LINK'],
    ['a newline in a name', zip([{ name: 'a\nb', content: 'x' }]), { format: 'zip' }, 'PACKAGE_NAME'],
    ['an unknown format', app(), { format: 'rar' }, 'INVALID_FIELD'],
    ['no id', app(), { id: '' }, 'INVALID_FIELD'],
    ['an id that is a path', app(), { id: '../x' }, 'INVALID_FIELD'],
    ['a version that is none', app(), { version: 'latest' }, 'INVALID_FIELD'],
  ])('rejects %s, and keeps nothing of it', async (_, bytes, more, code) => {
    await expect(push(bytes, '1.0', more)).rejects.toMatchObject({ code });
    expect(await blobsOnDisk()).toEqual([]);
    expect((await store.packages.list({ limit: 10 })).items).toEqual([]);
    expect((await store.events.list({ limit: 10 })).items).toEqual([]);
  });

  it('keeps nothing of an upload that breaks off', async () => {
    const body = new PassThrough();
    body.write(app().subarray(0, 20_000));
    const pushed = feed.push(body, { id: 'web', version: '1.0' }, 'key-1');
    body.destroy(new Error('gone'));
    await expect(pushed).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await blobsOnDisk()).toEqual([]);
  });

  it.skipIf(lacks('linux', 'root'))('stops before it takes the room that the database needs', async () => {
    const dataDir = await smallDisk(48);
    const pushLimits = { keepFreeBytes: 8 * 1024 ** 2 };
    const downloadTokens = { signDownloadToken: noDownloadTokens, verifyDownloadToken: noDownloadTokens };
    const small = await createFeed({ store, topology, dataDir, log: silentLogger(), ...downloadTokens, pushLimits });
    const chunk = randomBytes(1024 ** 2);
    const pushed = small.push(
      Readable.from(Array.from({ length: 100 }, () => chunk)),
      { id: 'web', version: '1' },
      'k',
    );
    await expect(pushed).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringContaining('kept for the database') as unknown,
    });
  });
});

describe('reading', () => {
  it('lists versions, the highest first, page by page', async () => {
    for (const version of ['1.0', '1.0-rc.2', '1.10', '1.2.0.1', '2.0-alpha']) await push(app(version), version);
    const first = await feed.versions('ACME.WEB', { limit: 3 });
    expect(first.items.map(({ version }) => version)).toEqual(['2.0-alpha', '1.10', '1.2.0.1']);
    const second = await feed.versions('acme.web', { limit: 3, cursor: first.next });
    expect(second.items.map(({ version }) => version)).toEqual(['1.0', '1.0-rc.2']);
    expect(second.next).toBeUndefined();
    await expect(feed.versions('other', { limit: 3 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lists packages, each with the version that a release takes, page by page', async () => {
    for (const version of ['1.9', '1.10', '1.2.0.1', '2.0-alpha']) await push(app(version), version);
    await push(app('next'), '3.0', { id: 'next' });
    const first = await listPackages(store, { limit: 1 });
    expect(first.items).toMatchObject([{ id: 'Acme.Web', version: '1.10' }]);
    const second = await listPackages(store, { limit: 1, cursor: first.next });
    expect(second).toMatchObject({ items: [{ id: 'next', version: '3.0' }] });
    expect(second.next).toBeUndefined();
  });

  it('downloads the whole and a range', async () => {
    const bytes = app();
    const { sha256 } = await push(bytes);
    expect((await buffer(await feed.download(sha256))).equals(bytes)).toBe(true);
    expect((await buffer(await feed.download(sha256, { from: 10, to: 20 }))).equals(bytes.subarray(10, 20))).toBe(true);
    await expect(feed.download('a'.repeat(64))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('finds everything again after a restart', async () => {
    const bytes = app();
    const { sha256 } = await push(bytes);
    const again = await createFeed({
      store,
      topology,
      dataDir: folder,
      log: silentLogger(),
      signDownloadToken: noDownloadTokens,
      verifyDownloadToken: noDownloadTokens,
    });
    expect((await buffer(await again.download(sha256))).equals(bytes)).toBe(true);
  });

  it('never serves what was changed on the disk, says so once, and takes the same bytes again', async () => {
    const bytes = app();
    const { sha256 } = await push(bytes);
    const changed = Buffer.from(bytes);
    changed[30_000]! ^= 1;
    await writeFile(join(folder, 'packages', 'blobs', sha256.slice(0, 2), sha256), changed);
    const downloadTokens = { signDownloadToken: noDownloadTokens, verifyDownloadToken: noDownloadTokens };
    const again = await createFeed({ store, topology, dataDir: folder, log: silentLogger(), ...downloadTokens });
    const downloads = await Promise.allSettled([again.download(sha256), again.download(sha256, { from: 5 })]);
    for (const each of downloads) expect(each).toMatchObject({ reason: { code: 'PACKAGE_HASH_MISMATCH' } });
    await expect(again.download(sha256)).rejects.toMatchObject({ code: 'PACKAGE_HASH_MISMATCH' });
    const { items } = await store.events.list({ type: 'package.damaged', limit: 10 });
    expect(items).toMatchObject([{ actor: 'system', subject: sha256 }]);
    const body = Readable.from([bytes]);
    expect(await again.push(body, { id: 'Acme.Web', version: '1.0' }, 'key-1')).toMatchObject({ created: false });
    expect((await buffer(await again.download(sha256))).equals(bytes)).toBe(true);
  });
});
