// What a mirror keeps: pins and leases, what is used most, within its marks; damaged packages are never served, and are
// fetched again; counters and uses survive restarts.
import { createHash, randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { Protection } from '../../mirror/protection.ts';
import { readCacheState, saveCacheState } from '../../mirror/saved-state.ts';
import { scrub } from '../../mirror/scrub.ts';
import { Uses } from '../../mirror/uses.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { startMirrorBench, type MirrorBench, type MirrorBenchOptions } from './mirror-bench.ts';
import { startOrigin, type Origin } from './origin.ts';

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

const digests = (...blobs: readonly Blob[]) => blobs.map(({ sha256 }) => sha256).sort();

async function damage(folder: string, { sha256, body }: Blob): Promise<void> {
  const changed = Buffer.from(body);
  changed[50_000]! ^= 1;
  await writeFile(join(folder, 'blobs', sha256.slice(0, 2), sha256), changed);
}

describe('eviction', () => {
  it('spares what is pinned and what has a lease, and passes on what has no room, as an alarm that ends', async () => {
    const { mirror, blobs, folder } = await bench(4, { quotaBytes: 250_000 });
    const [pinned, leased, third, fourth] = blobs as [Blob, Blob, Blob, Blob];
    await whole(mirror, pinned);
    await whole(mirror, leased);
    const lease = { sha256: leased.sha256, task: 'task-1', forMs: 600_000 };
    mirror.cache.protection.replace({ pins: [pinned.sha256], leases: [lease] });
    await whole(mirror, third);
    expect(mirror.cache.isFull).toBe(true);
    expect(mirror.cache.counts.uncached).toBe(1);
    expect(await stored(folder)).toEqual(digests(pinned, leased));
    mirror.cache.protection.replace({ pins: [pinned.sha256], leases: [] });
    await whole(mirror, fourth);
    expect(mirror.cache.isFull).toBe(false);
    expect(await stored(folder)).toEqual(digests(pinned, fourth));
    expect(mirror.cache.counts.evictions).toEqual({ quota: 1, 'free-space': 0, write: 0, gc: 0 });
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

describe('a lease', () => {
  it('ends by itself unless it is renewed, a pin does not', async () => {
    const protection = new Protection(['p']);
    protection.replace({ pins: ['p'], leases: [{ sha256: 'l', task: 'task-1', forMs: 20 }] });
    expect(protection.isProtected('l')).toBe(true);
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
