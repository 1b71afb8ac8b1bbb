// Malicious packages, pushed through the API into a real feed: each is denied with a code, nothing of it is kept, and
// there is one denial. What is wrong with which archive is in test/packages/archive.test.ts.
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createFeed, type Feed, type FeedDeps } from '../../server/packages/feed.ts';
import { LiveTopology } from '../../server/topology/live.ts';
import { startApi, type TestApi } from '../api/api.ts';
import { paxEntry, tarGz, zip } from '../packages/craft.ts';
import { tempDir } from '../support/temp.ts';

const good = tarGz([{ name: 'app.js', content: 'x' }]);
const noDownloadTokens = () => {
  throw new Error('no download token is signed or read here');
};

interface Field {
  readonly api: TestApi;
  push(bytes: Buffer | ReadableStream, query: string): ReturnType<TestApi['call']>;
  files(): Promise<string[]>;
  denials(): Promise<{ actor: string; data: unknown }[]>;
}

async function field(pushLimits: FeedDeps['pushLimits'] = {}): Promise<Field> {
  const dataDir = await tempDir();
  const made = Promise.withResolvers<Feed>();
  const api = await startApi({ pushPackage: async (...given) => (await made.promise).push(...given) });
  const parts = {
    store: api.store,
    topology: new LiveTopology(),
    dataDir,
    log: silentLogger(),
    signDownloadToken: noDownloadTokens,
    verifyDownloadToken: noDownloadTokens,
    pushLimits,
  };
  const feed = await createFeed(parts);
  onTestFinished(() => feed.stop());
  made.resolve(feed);
  const headers = { 'content-type': 'application/octet-stream' };
  return {
    api,
    push: (raw, query) =>
      api.call('POST', `/api/v1/packages?${query}`, {
        key: api.keys.operator,
        raw: raw instanceof ReadableStream ? raw : new Uint8Array(raw),
        headers,
      }),
    async files() {
      const names = await readdir(join(dataDir, 'packages'), { recursive: true, withFileTypes: true });
      return names.filter((entry) => entry.isFile()).map(({ name }) => name);
    },
    denials: async () => (await api.store.denials.list({ type: 'request.denied', limit: 100 })).items,
  };
}

it.each([
  ['a parent folder', 'PACKAGE_PATH_ESCAPE', 'tar.gz', tarGz([{ name: '../canary', content: 'x' }])],
  ['an absolute name', 'PACKAGE_PATH_ESCAPE', 'tar.gz', tarGz([{ name: '/etc/cron.d/x', content: 'x' }])],
  ['a drive', 'PACKAGE_PATH_ESCAPE', 'zip', zip([{ name: 'C:\\windows\\x', content: 'x' }])],
  [
    'a link and a file through it',
    'PACKAGE_LINK',
    'tar.gz',
    tarGz([
      { name: 'out', type: '2', linkName: '/tmp' },
      { name: 'out/x', content: 'x' },
    ]),
  ],
  [
    'two links that leave together',
    'PACKAGE_LINK',
    'tar.gz',
    tarGz([
      { name: 'a', content: 'x' },
      { name: 'd/up', type: '2', linkName: '..' },
      { name: 'out', type: '2', linkName: 'd/up/..' },
    ]),
  ],
  [
    'a hard link out',
    'PACKAGE_LINK',
    'tar.gz',
    tarGz([{ name: 'a' }, { name: 'b', type: '1', linkName: '/etc/passwd' }]),
  ],
  ['a sparse file', 'PACKAGE_BOMB', 'tar.gz', tarGz([paxEntry({ 'GNU.sparse.major': '1' }), { name: 'a' }])],
  ['too many entries', 'PACKAGE_BOMB', 'zip', zip([{ name: 'a' }], { records: 0xffff, records64: 1_000_000 })],
  [
    'files that share their bytes',
    'PACKAGE_BOMB',
    'zip',
    zip([
      { name: 'a', content: zip([{ name: 'b', content: 'x', method: 0 }]), method: 0 },
      { name: 'b', content: 'x', method: 0, at: 31 },
    ]),
  ],
  [
    'another name in the header of an entry',
    'PACKAGE_PATH_ESCAPE',
    'zip',
    zip([{ name: 'a', content: 'x', own: { name: '../../etc/x' } }]),
  ],
  ['a wrong count of entries', 'PACKAGE_FORMAT', 'zip', zip([{ name: 'a' }, { name: 'b' }], { records: 1 })],
  ['bytes before a zip', 'PACKAGE_FORMAT', 'zip', zip([{ name: 'a' }], { before: Buffer.from('#!/bin/sh\n') })],
  ['a tar without its end', 'PACKAGE_FORMAT', 'tar.gz', tarGz([{ name: 'a', content: 'x' }], { end: false })],
  ['bytes after the end', 'PACKAGE_FORMAT', 'tar.gz', Buffer.concat([good, Buffer.from('x')])],
  ['two archives in one file', 'PACKAGE_FORMAT', 'tar.gz', Buffer.concat([good, tarGz([{ name: 'b' }])])],
  ['an archive inside the gzip', 'PACKAGE_FORMAT', 'tar.gz', gzipSync(good)],
  ['an encrypted zip', 'PACKAGE_FORMAT', 'zip', zip([{ name: 'a', content: 'x', flags: 0x801 }])],
  ['another format than it says', 'PACKAGE_FORMAT', 'zip', good],
  ['nothing', 'PACKAGE_FORMAT', 'tar.gz', Buffer.alloc(0)],
  ['no archive', 'PACKAGE_FORMAT', 'tar.gz', Buffer.from('#!/bin/sh\nreboot\n')],
  ['an archive of nothing', 'PACKAGE_FORMAT', 'tar.gz', tarGz([])],
  ['a NUL in a name', 'PACKAGE_NAME', 'tar.gz', tarGz([paxEntry({ path: 'a\0b' }), { name: 'a' }])],
  ['a newline in a name', 'PACKAGE_NAME', 'zip', zip([{ name: 'a\nb', content: 'x' }])],
  ['a name of 300 bytes', 'PACKAGE_NAME', 'zip', zip([{ name: 'é'.repeat(150), content: 'x' }])],
  ['a name that is not UTF-8', 'PACKAGE_NAME', 'zip', zip([{ name: Buffer.from([0x61, 0xff]), content: 'x' }])],
])('%s is rejected %s', async (_name, code, format, bytes) => {
  const { api, push, files, denials } = await field();
  const before = await api.snapshot();
  const answer = await push(bytes, `id=evil&version=1.0&format=${format}`);
  expect(answer.body.code, answer.text).toBe(code);
  expect(await api.snapshot()).toBe(before);
  expect(await files()).toEqual([]);
  const actor = api.keys.operator.split('_')[1];
  expect(await denials()).toMatchObject([{ actor, data: { code, id: 'evil', version: '1.0' } }]);
});

describe('a body over the limit', () => {
  const large = tarGz([{ name: 'noise', content: randomBytes(300_000) }]);

  it('is rejected by the size it tells, before it is read', async () => {
    const { push, files, denials } = await field({ largestPackageBytes: 200_000 });
    expect(await push(large, 'id=web&version=1.0')).toMatchObject({ status: 413, body: { code: 'BODY_TOO_LARGE' } });
    expect(await files()).toEqual([]);
    expect(await denials()).toMatchObject([{ data: { code: 'BODY_TOO_LARGE', id: 'web' } }]);
    expect((await push(good, 'id=web&version=1.0')).status).toBe(201);
  });

  it('is rejected at the first byte over it when it tells no size', async () => {
    const { push, files } = await field({ largestPackageBytes: 200_000 });
    const chunked = new Blob([new Uint8Array(large)]).stream();
    expect(await push(chunked, 'id=web&version=1.0')).toMatchObject({ status: 413, body: { code: 'BODY_TOO_LARGE' } });
    expect(await files()).toEqual([]);
  });

  it('is rejected when the disk has no room for it beside the database', async () => {
    const { push, files, denials } = await field({ keepFreeBytes: Number.MAX_SAFE_INTEGER });
    expect(await push(good, 'id=web&version=1.0')).toMatchObject({ status: 507, body: { code: 'DISK_FULL' } });
    expect(await files()).toEqual([]);
    expect(await denials()).toEqual([]);
  });
});

it('other bytes under a version that exists are rejected, and the first stay', async () => {
  const { push, files, denials } = await field();
  expect((await push(good, 'id=web&version=1.0')).status).toBe(201);
  const kept = await files();
  const other = tarGz([{ name: 'app.js', content: 'evil' }]);
  expect((await push(other, 'id=Web&version=01.0.0')).body.code).toBe('PACKAGE_EXISTS');
  expect(await files()).toEqual(kept);
  expect(await denials()).toMatchObject([{ data: { code: 'PACKAGE_EXISTS', id: 'Web', version: '01.0.0' } }]);
});
