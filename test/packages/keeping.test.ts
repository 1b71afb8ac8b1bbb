// What a mirror keeps: pins and leases, what is used most, within its marks; damaged packages are never served, and are
// fetched again; counters and uses survive restarts.
import { createHash, randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { Protection } from '../../mirror/protection.ts';
import { readCacheState, saveCacheState } from '../../mirror/saved-state.ts';
import { scrub } from '../../mirror/scrub.ts';
import { Space } from '../../mirror/space.ts';
import { Uses } from '../../mirror/uses.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { startMirrorBench, testDownloadToken, type MirrorBench, type MirrorBenchOptions } from './mirror-bench.ts';
import { stallAt, startOrigin, type Origin } from './origin.ts';

interface Blob {
  readonly body: Buffer;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Each has another size: origins have one blob each, and the size tells which. */
let size = 100_000;
function blob(): Blob {
  size += 1;
  const body = randomBytes(size);
  return { body, sha256: createHash('sha256').update(body).digest('hex'), sizeBytes: size };
}

let mesh: TestMesh;
beforeAll(async () => {
  const removals: (() => void)[] = [];
  mesh = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  return () => removals.forEach((remove) => remove());
});

interface Bench {
  readonly mirror: MirrorBench;
  readonly blobs: readonly Blob[];
  readonly origins: readonly Origin[];
  readonly options: MirrorBenchOptions;
  readonly folder: string;
}

/** A mirror before an origin for each of so many blobs. */
async function bench(count: number, given: Partial<MirrorBenchOptions> = {}): Promise<Bench> {
  const blobs = Array.from({ length: count }, blob);
  const folder = await tempDir();
  const origins = await Promise.all(blobs.map(({ body }, index) => startOrigin(mesh, `origin-${index}`, body)));
  const options = { folder, sources: origins.map((origin) => ({ ...origin, path: [] })), ...given };
  return { mirror: await startMirrorBench(mesh, options), blobs, origins, options, folder };
}

async function whole(mirror: MirrorBench, wanted: Blob): Promise<void> {
  const { bytes, error } = await mirror.get(wanted);
  expect(error).toBeUndefined();
  expect(bytes.equals(wanted.body)).toBe(true);
}

async function stored(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'blobs'), { recursive: true });
  return names
    .filter((name) => name.includes('/'))
    .map((name) => name.slice(3))
    .sort();
}

/** Fetches what nobody waits for. */
function warm({ cache }: MirrorBench, { sha256, sizeBytes }: Blob, signal = new AbortController().signal) {
  const wanted = { sha256, sizeBytes, downloadToken: testDownloadToken(sizeBytes) };
  return cache.warm(wanted, { maxBytesPerS: 0, signal, onProgress: () => undefined });
}

const digests = (...blobs: readonly Blob[]) => blobs.map(({ sha256 }) => sha256).sort();

async function damage(folder: string, { sha256, body }: Blob): Promise<void> {
  const changed = Buffer.from(body);
  changed[50_000]! ^= 1;
  await writeFile(join(folder, 'blobs', sha256.slice(0, 2), sha256), changed);
}

describe('eviction', () => {
  it('spares what has a lease, and passes on what has no room, as an alarm that ends', async () => {
    const { mirror, blobs, folder } = await bench(4, { quotaBytes: 250_000 });
    const [first, second, third, fourth] = blobs as [Blob, Blob, Blob, Blob];
    await whole(mirror, first);
    await whole(mirror, second);
    const lease = ({ sha256 }: Blob) => ({ sha256, task: 'task-1', forMs: 600_000 });
    mirror.cache.protection.replace({ pins: [second.sha256], leases: [lease(first), lease(second)] });
    await whole(mirror, third);
    expect(mirror.cache.isFull).toBe(true);
    expect(mirror.cache.counts.uncached).toBe(1);
    expect(await stored(folder)).toEqual(digests(first, second));
    mirror.cache.protection.replace({ pins: [second.sha256], leases: [] });
    await whole(mirror, fourth);
    expect(mirror.cache.isFull).toBe(false);
    expect(await stored(folder)).toEqual(digests(second, fourth));
    expect(mirror.cache.counts.evictions).toEqual({ quota: 1, 'free-space': 0, write: 0, gc: 0 });
  });

  it('gives up the least important pin for what somebody waits for, and fetches that once', async () => {
    const { mirror, blobs, origins, folder } = await bench(3, { quotaBytes: 250_000 });
    const [live, before, next] = blobs as [Blob, Blob, Blob];
    await whole(mirror, before);
    await whole(mirror, live);
    mirror.cache.protection.replace({ pins: [live.sha256, before.sha256], leases: [] });
    // To warm is no reason.
    await expect(warm(mirror, next)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await Promise.all([whole(mirror, next), whole(mirror, next), whole(mirror, next)]);
    expect(origins[2]!.requests.filter(({ url }) => url.endsWith(next.sha256))).toHaveLength(1);
    expect(await stored(folder)).toEqual(digests(live, next));
  });

  it('looks again at what is kept before each deletion', async () => {
    const { mirror, blobs, folder } = await bench(3);
    for (const each of blobs) await whole(mirror, each);
    const small = new Space({
      ...{ blobs: mirror.blobs, limits: { quotaBytes: 1, minFreeBytes: 0 }, log: silentLogger(), uses: new Uses() },
      otherBytes: () => 0,
      protection: mirror.cache.protection,
      // Told while the first goes.
      onEvicted: ({ sha256 }) => {
        const kept = blobs.filter((each) => each.sha256 !== sha256).map((each) => each.sha256);
        mirror.cache.protection.replace({ pins: kept, leases: [] });
      },
    });
    expect(await small.collect({ dryRun: true })).toHaveLength(3);
    expect(await small.collect({ dryRun: false })).toHaveLength(1);
    expect(await stored(folder)).toHaveLength(2);
  });

  it('begins at the high-water mark and goes on to the low one', async () => {
    const { mirror, blobs, folder } = await bench(5, { quotaBytes: 450_000, lowWaterPercent: 50 });
    for (const each of blobs.slice(0, 4)) await whole(mirror, each);
    expect(await stored(folder)).toHaveLength(4);
    await whole(mirror, blobs[4]!);
    expect(await stored(folder)).toEqual(digests(blobs[3]!, blobs[4]!));
  });

  it('keeps what is used all the time when many packages pass that are used once', async () => {
    const { mirror, blobs, folder } = await bench(6, { quotaBytes: 250_000, lowWaterPercent: 100 });
    const [popular, ...others] = blobs as [Blob, ...Blob[]];
    for (let uses = 0; uses < 4; uses += 1) await whole(mirror, popular);
    for (const each of others.slice(0, 3)) await whole(mirror, each);
    expect(await stored(folder)).toEqual(digests(popular, others[2]!));
  });

  it('ages: what was popular once gives way to what is used now', () => {
    const uses = new Uses();
    const compare = (a: string, b: string) => {
      const stored = { sizeBytes: 1, usedAtMs: 1 };
      return Math.sign(uses.compare({ sha256: a, ...stored }, { sha256: b, ...stored }));
    };
    for (let count = 0; count < 5; count += 1) uses.used('old');
    for (const each of ['a', 'b', 'c', 'd']) {
      uses.used(each);
      expect(compare(each, 'old')).toBeLessThan(0);
      uses.evicted(each);
    }
    uses.used('e');
    uses.evicted('e');
    const restarted = new Uses(uses.saved(() => true));
    expect(restarted.count('old')).toBe(5);
    uses.used('now');
    expect(compare('old', 'now')).toBeLessThan(0);
  });

  it('removes on request what need not stay, and says before what that is', async () => {
    const { mirror, blobs, folder } = await bench(2);
    for (const each of blobs) await whole(mirror, each);
    await damage(folder, blobs[0]!);
    await scrub(mirror, { repair: false });
    const removed = [{ sha256: blobs[0]!.sha256, sizeBytes: blobs[0]!.sizeBytes, what: 'damaged' }];
    expect(await mirror.cache.collect({ dryRun: true })).toEqual(removed);
    expect(await readdir(join(folder, 'damaged'))).toEqual([blobs[0]!.sha256]);
    expect(await mirror.cache.collect({ dryRun: false })).toEqual(removed);
    expect(await readdir(join(folder, 'damaged'))).toEqual([]);
    expect(await stored(folder)).toEqual([blobs[1]!.sha256]);
  });
});

it('a warming that is cancelled takes nobody with it who comes meanwhile', async () => {
  const { mirror, blobs, origins } = await bench(1);
  const [wanted] = blobs as [Blob];
  origins[0]!.behave(stallAt(0.5));
  const stop = new AbortController();
  const cancelled = warm(mirror, wanted, stop.signal);
  await waitFor(async () => (await mirror.cache.usage()).partialBytes > 0);
  stop.abort(new IsthmusError('CANCELLED', 'the window has closed'));
  await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  const [again] = await Promise.all([warm(mirror, wanted), whole(mirror, wanted)]);
  expect(again).toEqual({ cached: false });
});

describe('a lease', () => {
  it('ends by itself unless it is renewed, a pin does not', async () => {
    const protection = new Protection(['p']);
    protection.replace({ pins: ['p'], leases: [{ sha256: 'l', task: 'task-1', forMs: 20 }] });
    expect(protection.isLeased('l')).toBe(true);
    await waitFor(() => !protection.isLeased('l'));
    expect(protection.isPinned('p')).toBe(true);
  });
});

describe('a damaged package', () => {
  it('is found, put aside and fetched again, and counted', async () => {
    const { mirror, blobs, origins, folder } = await bench(2);
    const [sound, changed] = blobs as [Blob, Blob];
    for (const each of blobs) await whole(mirror, each);
    await damage(folder, changed);
    expect(await scrub(mirror, { repair: true })).toEqual({
      checked: 2,
      damaged: [{ sha256: changed.sha256, repaired: true }],
    });
    expect(origins[1]!.requests).toHaveLength(2);
    expect(await readdir(join(folder, 'damaged'))).toEqual([changed.sha256]);
    expect(await stored(folder)).toEqual(digests(sound, changed));
    await whole(mirror, changed);
    expect(mirror.cache.counts).toMatchObject({ damaged: 1, repaired: 1 });
  });

  it('is not served when no source has it, and stays put aside', async () => {
    const { mirror, blobs, options, folder } = await bench(1);
    const [changed] = blobs as [Blob];
    await whole(mirror, changed);
    await mirror.stop();
    await damage(folder, changed);
    const alone = await startMirrorBench(mesh, { ...options, sources: [] });
    const { bytes, error } = await alone.get(changed);
    expect(error).toBeDefined();
    expect(bytes).toHaveLength(0);
    expect(await readdir(join(folder, 'damaged'))).toEqual([changed.sha256]);
    expect(await scrub(alone, { repair: true })).toEqual({ checked: 0, damaged: [] });
  });
});

describe('counters', () => {
  it('say what a mirror did for its site, and go on after a restart, with uses and pins', async () => {
    const { mirror, blobs, options } = await bench(1);
    const [wanted] = blobs as [Blob];
    await Promise.all([whole(mirror, wanted), whole(mirror, wanted)]);
    await whole(mirror, wanted);
    const { sizeBytes } = wanted;
    const { hits, fetches, sharedFetches } = mirror.cache.counts;
    expect(hits + fetches + sharedFetches).toBe(3);
    expect(fetches).toBe(1);
    const expected = { bytesIn: sizeBytes, bytesOut: 3 * sizeBytes, firstBytes: 3 };
    expect(mirror.cache.counts).toMatchObject(expected);
    mirror.cache.protection.replace({ pins: [wanted.sha256], leases: [] });
    const dataDir = await tempDir();
    await saveCacheState(dataDir, () => mirror.cache.state(), silentLogger()).stop();
    await mirror.stop();
    const after = await startMirrorBench(mesh, { ...options, saved: await readCacheState(dataDir) });
    await whole(after, wanted);
    expect(after.cache.counts).toMatchObject({ ...expected, bytesOut: 4 * sizeBytes, firstBytes: 4 });
    expect(after.cache.list()).toMatchObject([{ sha256: wanted.sha256, uses: 4, pinned: true, leased: false }]);
  });

  it('begin at 0 when what was saved is damaged', async () => {
    const dataDir = await tempDir();
    await writeFile(join(dataDir, 'cache.json'), '{"uses":');
    expect(await readCacheState(dataDir)).toEqual({});
  });
});
