// What the feed prepares for deltas after a push: the tar inside, how its gzip is made again, the patch from the version
// before.
import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { FeedDeltas } from '../../server/packages/deltas.ts';
import { createFeed, type Feed } from '../../server/packages/feed.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { LiveTopology } from '../../server/topology/live.ts';
import { heardLog } from '../support/heard-log.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { tarGz, zip } from './craft.ts';

const log = silentLogger();
const never = new AbortController().signal;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const large = randomBytes(200_000);
const version = (text: string): Buffer =>
  tarGz([
    { name: 'app.js', content: text },
    { name: 'data', content: large },
  ]);

async function world(): Promise<{ folder: string; store: Store; feed: Feed }> {
  const folder = await tempDir();
  const store = await openStore({ dataDir: folder, log });
  const noTokens = () => {
    throw new Error('no download token is signed or read here');
  };
  const tokens = { signDownloadToken: noTokens, verifyDownloadToken: noTokens };
  const feed = await createFeed({ store, topology: new LiveTopology(), dataDir: folder, log, ...tokens });
  onTestFinished(async () => {
    await feed.stop();
    await store.close();
  });
  return { folder, store, feed };
}

const push = (feed: Feed, bytes: Buffer, name: string, format = 'tar.gz') =>
  feed.push(Readable.from([bytes]), { id: 'web', version: name, format }, 'key-1');

const examined = (store: Store, bytes: Buffer) =>
  waitFor(async () => (await store.contents.find(sha256(bytes)))?.tar, { what: 'the examined package' });

it('digests the tar inside, and proves how the gzip is made again', async () => {
  const { store, feed } = await world();
  const bytes = version('one');
  await push(feed, bytes, '1.0');
  const tar = gunzipSync(bytes);
  expect(await examined(store, bytes)).toMatchObject({
    ...{ sha256: sha256(tar), sizeBytes: tar.length },
    recipe: { memLevel: 8, header: bytes.subarray(0, 10).toString('base64') },
  });
  expect(await store.contents.unexamined()).toEqual([]);
});

it('says where nothing makes the same gzip again, and asks no more', async () => {
  const { store, feed } = await world();
  const bytes = Buffer.concat([version('one'), Buffer.alloc(1024)]);
  await push(feed, bytes, '1.0');
  expect(await examined(store, bytes)).toMatchObject({ recipe: null });
  expect(await store.contents.unexamined()).toEqual([]);
});

it.each([
  ['tar.gz', version('one'), version('two')],
  [
    'zip',
    zip([{ name: 'data', content: large }]),
    zip([
      { name: 'data', content: large },
      { name: 'b', content: 'x' },
    ]),
  ],
])('makes the delta from the version before, once: %s', async (format, one, two) => {
  const { folder, store, feed } = await world();
  await push(feed, one, '1.0', format);
  await push(feed, two, '2.0', format);
  const pairs = join(folder, 'packages/deltas/pairs');
  const pair = `${sha256(two)}.${sha256(one)}.${format === 'tar.gz' ? 'tar' : 'file'}`;
  await waitFor(async () => (await readdir(pairs)).includes(pair), { what: 'the delta' });
  await feed.stop();
  const blobs = await BlobStore.open(join(folder, 'packages'));
  const deltas = await FeedDeltas.open({ store, blobs, log });
  onTestFinished(() => deltas.stop());
  const request = { sha256: sha256(two), downloadToken: '', peer: undefined, signal: never, bytesPerS: undefined };
  const have = [sha256(Buffer.from('another')), sha256(one)];
  const inflated = format === 'tar.gz';
  const delta = await deltas.open({ ...request, inflated, have });
  expect(delta).toMatchObject({ base: sha256(one), isGrowing: false });
  expect(delta!.sizeBytes).toBeLessThan(2_000);
  await delta!.close();
  expect(await deltas.open({ ...request, inflated: !inflated, have })).toBeUndefined();
  expect(await deltas.open({ ...request, inflated, have: have.slice(0, 1) })).toBeUndefined();
  expect(await deltas.open({ ...request, inflated, have, bytesPerS: 1e9 })).toBeUndefined();
  expect(await deltas.hints(sha256(two))).toMatchObject({ bases: [{ sha256: sha256(one) }] });
});

it('examines at its start what an earlier version of the server has taken', async () => {
  const { folder, store, feed } = await world();
  const bytes = version('old');
  const { sizeBytes } = await push(feed, bytes, '1.0');
  await examined(store, bytes);
  await feed.stop();
  await store.transaction(async (tx) => {
    const [entry] = await tx.packages.byDigest(sha256(bytes));
    await tx.packages.delete(entry!);
    await tx.packages.insert(entry!);
  });
  expect(await store.contents.unexamined()).toEqual([sha256(bytes)]);
  const blobs = await BlobStore.open(join(folder, 'packages'));
  const deltas = await FeedDeltas.open({ store, blobs, log });
  onTestFinished(() => deltas.stop());
  expect((await examined(store, bytes)).sizeBytes).toBeGreaterThan(sizeBytes);
});

it('examines what is pushed before the rest of what an earlier version has taken', async () => {
  const { folder, store, feed } = await world();
  const versions = ['one', 'two', 'three'].map(version);
  for (const [at, bytes] of versions.entries()) {
    await push(feed, bytes, `${at + 1}.0`);
    await examined(store, bytes);
  }
  await feed.stop();
  await store.transaction(async (tx) => {
    for (const bytes of versions) {
      const [entry] = await tx.packages.byDigest(sha256(bytes));
      await tx.packages.delete(entry!);
      await tx.packages.insert(entry!);
    }
  });
  const old = await store.contents.unexamined();
  const { log: heard, lines } = heardLog();
  const deltas = await FeedDeltas.open({ store, blobs: await BlobStore.open(join(folder, 'packages')), log: heard });
  onTestFinished(() => deltas.stop());
  deltas.pushed(old[2]!);
  const order = () => lines.filter(({ msg }) => msg.startsWith('examined')) as unknown as { sha256: string }[];
  await waitFor(() => order().length >= 3, { what: 'the examined packages' });
  expect(
    order()
      .map((line) => line.sha256)
      .slice(0, 3),
  ).toEqual([old[0], old[2], old[1]]);
});
