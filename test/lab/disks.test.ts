// Full disks: of a mirror while it caches, of a tentacle wherever it writes. Each has a small disk of its own as its
// data folder, and real writes fail on it.
import { createHash } from 'node:crypto';
import { readdir, readFile, readlink, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { TaskAnswer } from '../support/api.ts';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { releasesFolder, type LabRelease } from './support/deploying.ts';
import { labOfThisFile } from './support/open.ts';
import { machineIds } from './support/sites.ts';
import { reached, wholeAgain } from './support/stages.ts';

const mib = 1024 * 1024;
const disks = { 'mirror-eu': 6, 'us-1': 160 };
const settings = { 'mirror-eu': ['--min-free-bytes', '0'] };
type Small = keyof typeof disks;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('full disks in the lab', () => {
  const open = labOfThisFile({ delayMs: 20, rateMbit: 12 }, { disks, settings });

  const filler = (id: Small): string => join(open.world.dataDir(id), 'filler');
  /** Fills a disk up to so many bytes. */
  const fill = async (id: Small, leaveBytes = 0): Promise<void> => {
    const { bavail, bsize } = await statfs(open.world.dataDir(id));
    const bytes = leaveBytes > 0 ? bavail * bsize - leaveBytes : bavail * bsize + mib;
    await writeFile(filler(id), Buffer.alloc(Math.max(0, bytes))).catch((failure: NodeJS.ErrnoException) => {
      if (leaveBytes > 0 || failure.code !== 'ENOSPC') throw failure;
    });
  };
  const free = (id: Small): Promise<void> => rm(filler(id), { force: true });
  afterEach(async () => {
    await Promise.all((Object.keys(disks) as Small[]).map(free));
  });

  /** Asserts that every package in the mirror's cache is whole. */
  const keepsOnlyWhole = async (): Promise<string[]> => {
    const blobs = join(open.world.dataDir('mirror-eu'), 'packages/blobs');
    const files = (await readdir(blobs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    for (const { parentPath, name } of files) {
      const bytes = await readFile(join(parentPath, name));
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(name);
    }
    return files.map(({ name }) => name);
  };

  const deployed = async (release: LabRelease): Promise<TaskAnswer> =>
    open.world.api.ended(await open.project.deploy(release));

  /** Asserts that the deployment failed on us-1 alone, with a full disk, before the named script ran there. */
  const failedForRoom = async (task: TaskAnswer): Promise<void> => {
    expect(task.state, JSON.stringify(task)).toBe('failed');
    const failed = task.machines.filter(({ state }) => state === 'failed');
    expect(failed.map(({ machine }) => machine)).toEqual(['us-1']);
    const codes = failed.flatMap(({ steps }) => steps.flatMap(({ error }) => error?.code ?? []));
    // The steps after it did not run.
    expect(codes.filter((code) => code !== 'EARLIER_STEP_FAILED')).toEqual(['DISK_FULL']);
    expect(await open.witness.said('us-1', task.id, 'post')).toBe(0);
  };

  test('a mirror evicts what it can spare for what comes', async () => {
    const first = await open.project.release(2.5e6);
    await open.project.arrived(await deployed(first), first);
    expect(await keepsOnlyWhole()).toEqual([first.sha256]);
    const second = await open.project.release(4e6);
    await open.project.arrived(await deployed(second), second);
    expect(await keepsOnlyWhole()).toEqual([second.sha256]);
  });

  test('a mirror without room lets a package through uncached', async () => {
    await fill('mirror-eu');
    const release = await open.project.release(4.5e6);
    await open.project.arrived(await deployed(release), release);
    expect(await keepsOnlyWhole()).not.toContain(release.sha256);
    await free('mirror-eu');
    const next = await open.project.release(1.5e6);
    await open.project.arrived(await deployed(next), next);
    expect(await keepsOnlyWhole()).toContain(next.sha256);
  });

  test('a mirror whose disk fills up while it caches keeps no short file, and the package arrives', async () => {
    const release = await open.project.release(3e6);
    const task = await open.project.deploy(release);
    await reached('half the package is here', { open, task, release, machine: 'eu-1' });
    await fill('mirror-eu');
    await open.project.arrived(await open.world.api.ended(task), release);
    await keepsOnlyWhole();
  });

  test('a tentacle without room for a package fetches none of it, and goes on when there is room', async () => {
    await fill('us-1', 20 * mib);
    const release = await open.project.release(4e5);
    await failedForRoom(await deployed(release));
    await free('us-1');
    await open.project.arrived(await deployed(release), release);
  });

  test('a tentacle whose disk fills up while it unpacks keeps the release it has', async () => {
    const folder = join(open.world.dataDir('us-1'), releasesFolder);
    const current = await readlink(join(folder, 'current'));
    await fill('us-1', 50 * mib);
    await failedForRoom(await deployed(await open.project.release(Buffer.alloc(60 * mib))));
    await free('us-1');
    expect(await readlink(join(folder, 'current'))).toBe(current);
    expect(await readdir(join(folder, '.private'))).toEqual([]);
    const next = await open.project.release(4e5);
    await open.project.arrived(await deployed(next), next);
  });

  test('a script is not started on a full disk, and another time it is', async () => {
    const { world, witness } = open;
    const start = async (): Promise<TaskAnswer> => {
      const body = witness.script('full', 5);
      return world.api.ended((await world.api.post<{ id: string }>('scripts', { body, machines: machineIds })).id);
    };
    await fill('us-1');
    const rejected = await start();
    expect(rejected.state, JSON.stringify(rejected)).toBe('failed');
    const failed = rejected.machines.filter(({ state }) => state !== 'succeeded');
    expect(failed.map(({ machine, steps }) => [machine, steps[0]?.error?.code])).toEqual([['us-1', 'DISK_FULL']]);
    expect(await witness.said('us-1', rejected.id, 'full')).toBe(0);
    await free('us-1');
    const done = await start();
    expect(done.state, JSON.stringify(done)).toBe('succeeded');
    await witness.agrees(world.api, done, { full: 5 });
    await wholeAgain(open);
  });

  test('a script that runs while the disk is full goes on, and its log says where lines may be missing', async () => {
    const { world, witness } = open;
    const body = `pad=$(printf 'x%.0s' {1..2000})\nfor i in $(seq 400); do echo "$i $pad"; sleep 0.02; done 2>/dev/null\n${witness.script('last', 3)}`;
    const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: ['us-1'] });
    const logOf = async () => (await world.api.stream(id)).filter(({ kind }) => kind === 'log');
    await waitFor(async () => (await logOf()).length > 5, { limitMs: 30_000, what: 'the first lines' });
    await fill('us-1');
    // Long enough for writes of the script to fail.
    await sleep(1_500);
    await free('us-1');
    const task = await world.api.ended(id);
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    const log = await logOf();
    expect(log.map(({ line }) => line)).toEqual(log.map((_entry, index) => index + 1));
    const marks = log.filter(({ text }) => text.startsWith('DISK_FULL'));
    expect(marks).toHaveLength(1);
    const numbers = log.flatMap(({ text }) => /^(\d+) x+$/.exec(text)?.[1] ?? []).map(Number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(numbers.length).toBeLessThan(400);
    await witness.agrees(world.api, task, { last: 3 });
  });
});
