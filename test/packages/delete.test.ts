// Deleting versions of packages: never one that a release or an open task uses, and rows and bytes belong together
// whenever the server is killed.
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createFeed, type Feed } from '../../server/packages/feed.ts';
import { listPackages } from '../../server/packages/list.ts';
import { startPackageRetention } from '../../server/packages/retention.ts';
import { createProject } from '../../server/projects/projects.ts';
import { createRelease, deleteRelease } from '../../server/projects/releases.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { stepHandlers } from '../../server/task-kinds.ts';
import { LiveTopology } from '../../server/topology/live.ts';
import { addTask } from '../store/samples.ts';
import { buildKillAt, runKilledAt } from '../support/kill-at.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { tarGz } from './craft.ts';

const program = fileURLToPath(new URL('./delete-process.ts', import.meta.url));
const actor = 'key-1';
const noTokens = () => {
  throw new Error('no download token is signed or read here');
};

async function openFeed(dataDir: string): Promise<{ store: Store; feed: Feed }> {
  const store = await openStore({ dataDir, log: silentLogger() });
  onTestFinished(() => store.close());
  const feed = await createFeed({
    ...{ store, topology: new LiveTopology(), dataDir, log: silentLogger() },
    ...{ signDownloadToken: noTokens, verifyDownloadToken: noTokens },
  });
  return { store, feed };
}

const app = (text: string) => tarGz([{ name: 'app.js', content: text }]);
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function blobsOf(dataDir: string): Promise<string[]> {
  const names = await readdir(join(dataDir, 'packages'), { recursive: true });
  return names.flatMap((name) => /[0-9a-f-]{36,}$/.exec(name) ?? []).sort();
}

let dataDir: string;
let store: Store;
let feed: Feed;
beforeEach(async () => {
  dataDir = await tempDir();
  ({ store, feed } = await openFeed(dataDir));
});

const push = (version: string, bytes = app(version), id = 'web') =>
  feed.push(Readable.from([bytes]), { id, version }, actor);

/** A project with a package step, and a release of it that pins the latest version. */
async function release(project: string, version: string): Promise<string> {
  const kinds = stepHandlers();
  const steps = [{ name: 'files', kind: 'package', targetRoles: ['web'], package: { id: 'web' } }];
  return store.transaction(async (tx) => {
    if ((await tx.projects.find(project)) === undefined) await createProject(tx, kinds, { id: project, steps }, actor);
    return (await createRelease(tx, kinds, project, { version }, actor)).id;
  });
}

describe('a version', () => {
  it('that a release pins stays, and the error names the releases', async () => {
    await push('1.0');
    const first = await release('shop', '7.1');
    await release('blog', '3');
    for (const dryRun of [true, false]) {
      await expect(feed.delete('WEB', '1.0.0', { actor, dryRun })).rejects.toMatchObject({
        code: 'IN_USE',
        message: 'web 1.0 is in use by release 7.1 of shop, release 3 of blog',
        action: { code: 'DELETE_RELEASE', arguments: { project: 'shop', version: '7.1' } },
      });
    }
    const unpinned = await store.transaction((tx) => deleteRelease(tx, first, { actor }));
    expect(unpinned.unused).toEqual([]);
    await expect(feed.delete('web', '1.0', { actor })).rejects.toMatchObject({
      message: 'web 1.0 is in use by release 3 of blog',
    });
    expect(await blobsOf(dataDir)).toHaveLength(1);
  });

  it('that an open task names stays', async () => {
    const { sha256 } = await push('1.0');
    const task = await addTask(store, { payload: { tarballs: [{ sha256 }] } });
    await expect(feed.delete('web', '1.0', { actor })).rejects.toMatchObject({
      code: 'IN_USE',
      message: `web 1.0 is in use by task ${task}`,
    });
  });

  it('that nothing uses goes with its bytes, after a dry run that says so and an event', async () => {
    const { sha256, sizeBytes } = await push('1.0');
    await push('2.0');
    const id = await release('shop', '1');
    await store.transaction((tx) => deleteRelease(tx, id, { actor }));
    const expected = { deleted: [{ kind: 'package', name: 'web 1.0' }], freedBytes: sizeBytes, unused: [] };
    expect(await feed.delete('web', '1', { actor, dryRun: true })).toEqual({ ...expected, dryRun: true });
    expect(await blobsOf(dataDir)).toHaveLength(2);
    expect(await feed.delete('web', '1', { actor })).toEqual({ ...expected, dryRun: false });
    expect(await blobsOf(dataDir)).not.toContain(sha256);
    await expect(feed.find('web', '1.0')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(feed.delete('web', '1.0', { actor })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { items } = await store.events.list({ type: 'package.deleted', limit: 10 });
    expect(items).toMatchObject([{ actor, subject: 'web', data: { version: '1.0', sha256, sizeBytes } }]);
  });

  it('leaves the bytes that another version has', async () => {
    const bytes = app('same');
    const { sha256 } = await push('1.0', bytes);
    await push('1.0', bytes, 'copy');
    expect(await feed.delete('web', '1.0', { actor })).toMatchObject({ freedBytes: 0 });
    expect((await buffer(await feed.download(sha256))).equals(bytes)).toBe(true);
    await feed.delete('copy', '1.0', { actor });
    expect(await blobsOf(dataDir)).toEqual([]);
  });

  it('pushed while the same bytes are deleted has its bytes', async () => {
    const bytes = app('same');
    for (let round = 0; round < 20; round += 1) {
      await push('1.0', bytes);
      await Promise.all([feed.delete('web', '1.0', { actor }), push('1.0', bytes, 'copy')]);
      const { sha256 } = await feed.find('copy', '1.0');
      expect((await buffer(await feed.download(sha256))).equals(bytes)).toBe(true);
      await feed.delete('copy', '1.0', { actor });
    }
  });

  it('can be pushed with other bytes once it is deleted', async () => {
    await push('1.0');
    await feed.delete('web', '1.0', { actor });
    const { sha256 } = await push('1.0', app('other'));
    expect(await blobsOf(dataDir)).toEqual([sha256]);
  });
});

describe('retention', () => {
  const week = 7 * 24 * 3600_000;

  it('deletes the versions below the highest ones, but none in use and none that is new, with an event each', async () => {
    onTestFinished(() => {
      vi.useRealTimers();
    });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - week - 1 });
    for (const version of ['1.9', '1.10', '1.2', '2.0-rc.1']) await push(version);
    await push('1.0', app('other'), 'other');
    await release('shop', '1');
    vi.useRealTimers();
    ({ store, feed } = await reopened());
    await push('1.1');
    const names = ['web 1.2', 'web 1.9'];
    const dryRun = await feed.prune({ keepVersions: 1, actor: 'system', dryRun: true });
    expect(dryRun.deleted.map(({ name }) => name).sort()).toEqual(names);
    expect(await feed.prune({ keepVersions: 1, actor: 'system' })).toEqual({ ...dryRun, dryRun: false });
    const left = (await feed.versions('web', { limit: 10 })).items.map(({ version }) => version);
    expect(left).toEqual(['2.0-rc.1', '1.10', '1.1']);
    const { items } = await store.events.list({ type: 'package.deleted', limit: 10 });
    expect(items.map(({ actor: by, data }) => `${by} ${String((data as { version: string }).version)}`).sort()).toEqual(
      ['system 1.2', 'system 1.9'],
    );
  });

  it('runs at the start of the server, and removes bytes without a version also where no version may go', async () => {
    await push('1.0');
    const orphan = await addOrphan();
    const stop = startPackageRetention({ feed: (await reopened()).feed, keepVersions: undefined, log: silentLogger() });
    onTestFinished(stop);
    await waitFor(async () => !(await blobsOf(dataDir)).includes(orphan));
    expect(await blobsOf(dataDir)).toHaveLength(1);
  });
});

async function addOrphan(): Promise<string> {
  const orphan = digest(Buffer.from('orphan'));
  const folder = join(dataDir, 'packages', 'blobs', orphan.slice(0, 2));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, orphan), 'orphan', { mode: 0o600 });
  return orphan;
}

async function reopened() {
  await store.close();
  return openFeed(dataDir);
}

it('lists each package once, with all its versions need and who uses them', async () => {
  const sizes = await Promise.all([push('1.0'), push('2.0'), push('1.0', app('1.0'), 'Copy')]);
  await release('shop', '1');
  await release('shop', '2');
  await release('blog', '1');
  const { items } = await listPackages(store, { limit: 10 });
  expect(items).toMatchObject([
    { id: 'Copy', version: '1.0', versions: 1, totalBytes: sizes[2].sizeBytes, usedBy: [] },
    {
      ...{ id: 'web', version: '2.0', versions: 2, totalBytes: sizes[0].sizeBytes + sizes[1].sizeBytes },
      usedBy: [
        { project: 'blog', releases: 1 },
        { project: 'shop', releases: 2 },
      ],
    },
  ]);
});

it('says which versions the last release that used them leaves unused', async () => {
  const { sizeBytes } = await push('1.0');
  const first = await release('shop', '1');
  const second = await release('shop', '2');
  const remove = (id: string, dryRun: boolean) => store.transaction((tx) => deleteRelease(tx, id, { actor, dryRun }));
  expect(await remove(first, false)).toMatchObject({ deleted: [{ kind: 'release', name: '1 of shop' }], unused: [] });
  for (const dryRun of [true, false]) {
    expect(await remove(second, dryRun)).toMatchObject({ dryRun, unused: [{ id: 'web', version: '1.0', sizeBytes }] });
  }
  await expect(remove(second, true)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

describe.skipIf(lacks('linux', 'gcc'))('a server', () => {
  beforeAll(buildKillAt);

  it('killed at any step of a deletion and a push has the bytes of each version, and no others', async () => {
    await push('1.0');
    await store.close();
    const copyOf = async (at: number) => {
      const copy = join(await tempDir(), `killed-${at}`);
      await cp(dataDir, copy, { recursive: true });
      return copy;
    };
    const whole = await copyOf(0);
    const steps = (await runKilledAt([program, whole], { below: whole, at: 0 })) ?? 0;
    expect(steps).toBeGreaterThan(5);
    const seen = new Set<string>();
    const numbers = Array.from({ length: steps }, (_each, index) => index + 1);
    const work = async (): Promise<void> => {
      for (let at = numbers.pop(); at !== undefined; at = numbers.pop()) {
        const killed = await copyOf(at);
        expect(await runKilledAt([program, killed], { below: killed, at })).toBeUndefined();
        const after = await openFeed(killed);
        await after.feed.dropOrphans();
        const items = await after.store.packages.versions('web');
        for (const { sha256 } of items) {
          expect(digest(await buffer(await after.feed.download(sha256))), `step ${at} of ${steps}`).toBe(sha256);
        }
        expect(await blobsOf(killed), `step ${at} of ${steps}`).toEqual(items.map(({ sha256 }) => sha256).sort());
        seen.add(items.map(({ version }) => version).join(' '));
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    expect([...seen].sort()).toEqual(['', '1.0', '2.0']);
  });
});
