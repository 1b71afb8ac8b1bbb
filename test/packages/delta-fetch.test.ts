// Who fetches by delta: whatever is wrong with the patch, the base or the source, it ends with the right bytes, and the
// log says why.
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BlobServer, type BlobOrigin } from '../../lib/blobs/blob-server.ts';
import type { BlobBody } from '../../lib/blobs/blob-pump.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { SourceStates } from '../../lib/blobs/source-states.ts';
import { runDelta } from '../../lib/delta/delta.ts';
import { findGzipRecipe } from '../../lib/delta/gzip-recipe.ts';
import type { DeltaHints } from '../../lib/delta/hints.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { MirrorCache } from '../../mirror/cache.ts';
import { Acquirer } from '../../tentacle/packages/acquire.ts';
import { Tars } from '../../tentacle/packages/tars.ts';
import { heardLog } from '../support/heard-log.ts';
import { tempDir } from '../support/temp.ts';
import { tarGz } from './craft.ts';

const never = new AbortController().signal;
const digest = (of: Buffer): string => createHash('sha256').update(of).digest('hex');
const data = randomBytes(500_000);
const packed = (text: string): Buffer =>
  tarGz([
    { name: 'app.js', content: text },
    { name: 'data', content: data },
  ]);
const [one, two] = [packed('one'), packed('two')];
const tarTwo = gunzipSync(two);

async function fileOf(bytes: Buffer): Promise<string> {
  const path = join(await tempDir(), 'file');
  await writeFile(path, bytes);
  return path;
}

async function patchFrom(base: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const [from, to] = [await fileOf(base), await fileOf(two)];
  const contents = { base: { path: from, inflated: true }, target: { path: to, inflated: true } };
  await runDelta({ kind: 'encode', ...contents, mostBytes: 1e6 }, (chunk) => void chunks.push(chunk), never);
  return Buffer.concat(chunks);
}

/** A zstd frame that claims 2 GiB. */
function hugeFrame(): Buffer {
  const head = Buffer.alloc(17);
  head.writeUInt32LE(0xfd2fb528);
  head[4] = 0b1110_0000;
  head.writeBigUInt64LE(2n ** 31n, 5);
  return head;
}

const bodyOf = (bytes: Buffer): BlobBody => ({
  ...{ sizeBytes: bytes.length, isGrowing: false },
  read: (position, into) => Promise.resolve(bytes.copy(into, 0, position)),
  close: () => Promise.resolve(),
});

/** A source of the second version, and of this patch; counts what it is asked for. */
function source(patch: Buffer | undefined) {
  const asked = { whole: 0, deltas: 0 };
  const origin: BlobOrigin<string> = {
    authorise: () => ({ sizeBytes: two.length }),
    open: () => {
      asked.whole += 1;
      return Promise.resolve(bodyOf(two));
    },
    sizeOf: () => two.length,
    delta: ({ have }) => {
      asked.deltas += 1;
      return Promise.resolve(patch && { ...bodyOf(patch), base: have[0]! });
    },
  };
  const server = new BlobServer(origin, silentLogger());
  onTestFinished(() => server.stop());
  const connect = () => {
    const [here, there] = duplexPair();
    server.accept(there, 'peer');
    return Promise.resolve({ stream: here, linkClass: 'mesh' as const });
  };
  return { asked, connect };
}

async function hintsFor(path: string): Promise<DeltaHints> {
  const recipe = (await findGzipRecipe(path, never)) ?? undefined;
  const content = { sha256: digest(tarTwo), sizeBytes: tarTwo.length };
  const bases = [{ sha256: digest(one), tarSha256: digest(gunzipSync(one)) }];
  return { inflated: true, content, recipe, bases };
}

async function storeWith(...blobs: Buffer[]): Promise<BlobStore> {
  const store = await BlobStore.open(await tempDir());
  for (const bytes of blobs) {
    const writer = await store.receive();
    await writer.write(bytes);
    await writer.commit();
  }
  return store;
}

/** A target that has some blobs acquires the second version. */
async function acquire(blobs: BlobStore, patch: Buffer | undefined) {
  const { asked, connect } = source(patch);
  const { log, lines } = heardLog();
  const tars = await Tars.open(blobs);
  const acquirer = new Acquirer({ blobs, tars, connect, log, onWrongSource: () => undefined });
  onTestFinished(() => acquirer.stop());
  const order = {
    ...{ id: 'web', version: '2.0', sha256: digest(two), sizeBytes: two.length, unpackedBytes: undefined },
    ...{ downloadToken: 'p', sources: [{ kind: 'mesh', node: 'near', path: [] }] as const },
    delta: await hintsFor(await fileOf(two)),
  };
  const acquired = await acquirer.acquire(order, { onProgress: () => undefined, signal: never });
  expect(acquired).toMatchObject({ done: true, cached: false, from: 'near', failed: [] });
  const stored = tars.stored(digest(two))!;
  const right = stored.isTar ? tarTwo : two;
  expect((await readFile(blobs.pathOf(stored.sha256))).equals(right)).toBe(true);
  expect((await acquirer.acquire(order, { onProgress: () => undefined, signal: never })).cached).toBe(true);
  const again = await Tars.open(blobs);
  expect(again.stored(digest(two))).toEqual(stored);
  return { asked, warnings: lines.filter(({ level }) => level === 'warn'), isTar: stored.isTar };
}

describe('a target', () => {
  it.each([
    ['the file', one],
    ['the tar', gunzipSync(one)],
  ])('that has %s of the version before fetches what changed', async (_what, base) => {
    const { asked, warnings, isTar } = await acquire(await storeWith(base), await patchFrom(one));
    expect({ asked, warnings, isTar }).toEqual({ asked: { whole: 0, deltas: 1 }, warnings: [], isTar: true });
  });

  it('that has no earlier version asks for the whole only', async () => {
    const { asked, isTar } = await acquire(await storeWith(packed('another')), await patchFrom(one));
    expect({ asked, isTar }).toEqual({ asked: { whole: 1, deltas: 0 }, isTar: false });
  });

  it('whose source has no delta fetches the whole, and nothing is wrong', async () => {
    const { asked, warnings } = await acquire(await storeWith(one), undefined);
    expect({ asked, warnings }).toEqual({ asked: { whole: 1, deltas: 1 }, warnings: [] });
  });

  it.each<[string, () => Promise<Buffer>, string]>([
    [
      'corrupt',
      async () => (await patchFrom(one)).map((byte, at) => (at === 40 ? byte ^ 1 : byte)) as Buffer,
      'PACKAGE_',
    ],
    [
      'for another base',
      () =>
        patchFrom(tarGz([{ name: 'x', content: randomBytes(500_000) }])).then((patch) => patch.subarray(0, 200_000)),
      'PACKAGE_FORMAT',
    ],
    ['of 2 GiB', () => Promise.resolve(hugeFrame()), 'PACKAGE_BOMB'],
    ['larger than it is worth', () => Promise.resolve(randomBytes(two.length)), 'RESOURCE_EXHAUSTED'],
    ['to something else', async () => patchTo(randomBytes(tarTwo.length)), 'PACKAGE_HASH_MISMATCH'],
  ])('that gets a patch that is %s fetches the whole once, and says why', async (_what, patch, code) => {
    const { asked, warnings, isTar } = await acquire(await storeWith(one), Buffer.from(await patch()));
    expect({ asked, isTar }).toEqual({ asked: { whole: 1, deltas: 1 }, isTar: false });
    expect(warnings).toMatchObject([{ msg: 'a delta failed; fetching the whole package' }]);
    expect((warnings[0] as unknown as { code: string }).code).toContain(code);
  });

  it('whose base was changed on the disk fetches the whole, and drops the base', async () => {
    const blobs = await storeWith(one);
    const patch = await patchFrom(one);
    const path = blobs.pathOf(digest(one));
    const changed = await BlobStore.open(blobs.folder);
    await writeFile(path, randomBytes(one.length));
    const { asked, warnings, isTar } = await acquire(changed, patch);
    expect({ asked, isTar }).toEqual({ asked: { whole: 1, deltas: 1 }, isTar: false });
    expect(warnings.map(({ msg }) => msg)).toContain('a delta failed; fetching the whole package');
    expect(changed.get(digest(one))).toBeUndefined();
  });
});

/** A patch that leads to a tar of the right size, but another one; small enough to be taken. */
async function patchTo(other: Buffer): Promise<Buffer> {
  const wrong = Buffer.concat([tarTwo.subarray(0, tarTwo.length - 512), other.subarray(0, 512)]);
  const chunks: Buffer[] = [];
  const base = { path: await fileOf(one), inflated: true };
  const target = { path: await fileOf(wrong), inflated: false };
  await runDelta({ kind: 'encode', base, target, mostBytes: 1e6 }, (chunk) => void chunks.push(chunk), never);
  return Buffer.concat(chunks);
}

describe('a mirror', () => {
  it('packs the file again of what changed, and follows the digest of the file', async () => {
    const { asked, connect } = source(await patchFrom(one));
    const blobs = await storeWith(one);
    const { recipe } = await hintsFor(await fileOf(two));
    const delta = {
      ...{ tarSha256: digest(tarTwo), tarBytes: tarTwo.length },
      recipe: { ...recipe!, header: Buffer.from(recipe!.header, 'base64') },
      bases: [{ sha256: digest(one), tarSha256: digest(gunzipSync(one)) }],
    };
    const sources = [{ kind: 'mesh', node: 'near', path: [] }] as const;
    const cache = new MirrorCache({
      ...{ blobs, connect, log: silentLogger(), onWrongSource: () => undefined },
      find: () => Promise.resolve({ sources, downloadToken: 'p', delta }),
      states: new SourceStates({ blobs, log: silentLogger() }),
      limits: { quotaBytes: Number.MAX_SAFE_INTEGER, minFreeBytes: 0, lowWaterPercent: undefined },
    });
    onTestFinished(() => cache.stop());
    const body = await cache.open({ sha256: digest(two), sizeBytes: two.length, downloadToken: 'p' });
    const came = await buffer(Readable.from(bytesOf(body)));
    await body.close();
    expect(came.equals(two)).toBe(true);
    expect(asked).toEqual({ whole: 0, deltas: 1 });
    await cache.stop();
    expect(
      blobs
        .list()
        .map(({ sha256 }) => sha256)
        .sort(),
    ).toEqual([digest(one), digest(two)].sort());
  });
});

async function* bytesOf(body: BlobBody): AsyncGenerator<Buffer> {
  const into = Buffer.alloc(65_536);
  for (let position = 0; ;) {
    const got = await body.read(position, into);
    if (got === 0) return;
    position += got;
    yield Buffer.from(into.subarray(0, got));
  }
}
