// A package is unpacked while it arrives, where only the agent gets to it: nothing counts before every byte is verified,
// and whatever goes wrong leaves nothing.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { createPackages, type Packages, type PackagesOptions } from '../../tentacle/packages/packages.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { lacks } from '../support/needs.ts';
import { noMesh } from '../support/no-mesh.ts';
import { smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { listing } from './archive-bench.ts';
import { tarGz, zip, type TarEntry } from './craft.ts';
import { NO_FILE_RULES, NOWHERE_ELSE } from './orders.ts';
import { slow, stallAt, startOrigin, wrongBytes, type Origin } from './origin.ts';

const program = fileURLToPath(new URL('./unpack-process.ts', import.meta.url));
const web = { project: 'shop', environment: 'prod', step: 'web' };
const quiet = { onProgress: () => undefined, signal: new AbortController().signal };

const entries: TarEntry[] = [
  { name: 'conf/app.ini', content: 'port = #{Port}\n' },
  { name: 'current', type: '2', linkName: 'conf' },
  { name: 'locked/', type: '5', mode: 0o555 },
  ...Array.from({ length: 20 }, (_, i) => ({ name: `noise/${i}`, content: randomBytes(40_000) })),
  { name: 'last', content: 'the end' },
];
const bytes = tarGz(entries);
const sizeOf = ({ content = '' }: { content?: string | Buffer }) => Buffer.from(content).length;
const unpackedBytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);

let mesh: TestMesh;
let self: TestNode;
beforeAll(async () => {
  const removals: (() => void)[] = [];
  mesh = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  self = await mesh.node('tentacle-1', 'tentacle');
  return () => removals.forEach((remove) => remove());
});

async function open(dataDir: string, options: Partial<PackagesOptions> = {}): Promise<Packages> {
  const access = { mesh: noMesh(), identity: self.identity, revocations: self.revocations, loopback: true };
  const packages = await createPackages({
    ...{ dataDir, log: silentLogger(), onWrongSource: () => undefined, hasOpenScript: () => false, ...NOWHERE_ELSE },
    connect: (source, signal) => connectSource(source, access, signal),
    ...options,
  });
  onTestFinished(() => packages.stop());
  return packages;
}

function orderOf(body: Buffer, origins: Origin[], more: Partial<PackagePayload__Output> = {}): PackagePayload__Output {
  const sha256 = createHash('sha256').update(body).digest('hex');
  return {
    package: { id: 'web', version: '1.0.0', sha256, sizeBytes: body.length, format: 'tar.gz' },
    ...{ installation: web, downloadToken: 'p', substitute: [], variables: {}, sensitiveNames: [], ...NO_FILE_RULES },
    ...{ unpackedBytes, entries: entries.length },
    sources: origins.map(({ node, url }) => ({ node, path: [], url, upstream: null, pushed: false })),
    ...more,
  };
}

const below = (dataDir: string, step = 'web') => join(dataDir, 'applications', 'shop', 'prod', step);
/** What only the agent can reach: kinds of names, without those of releases. */
const madeIn = async (dataDir: string, step?: string) =>
  (await readdir(join(below(dataDir, step), '.private')))
    .map((name) => /\.(building|unpacked\.json)$/.exec(name)?.[1] ?? name)
    .sort();
const MADE = ['building', 'unpacked.json'];
const releasesIn = (dataDir: string) => readdir(join(below(dataDir), 'releases'));

async function fileArriving(dataDir: string, name: string, step = 'web'): Promise<string> {
  const folder = join(below(dataDir, step), '.private');
  return waitFor(
    async () => {
      const found = (await listing(folder)).find((path) => path.endsWith(`.building/${name}`));
      return found === undefined ? undefined : join(folder, found);
    },
    { what: `${name} to be unpacked` },
  );
}

/** Stages and activates without the cache: only what acquiring has unpacked can be the release. */
async function deployUnpacked(packages: Packages, order: PackagePayload__Output, task: string, dataDir: string) {
  await rm(join(dataDir, 'packages', 'blobs'), { recursive: true });
  await packages.stage(order, task);
  const { releasePath } = await packages.activate(order, task);
  return releasePath;
}

async function isWholeRelease(releasePath: string): Promise<void> {
  expect(await readFile(join(releasePath, 'last'), 'utf8')).toBe('the end');
  expect(await readlink(join(releasePath, 'current'))).toBe('conf');
  expect((await stat(join(releasePath, 'locked'))).mode & 0o777).toBe(0o555);
  expect((await listing(releasePath)).length).toBe(entries.length + 2);
}

describe('while it arrives', () => {
  it('has files before the last byte has come, for the agent alone, and no link', async () => {
    const held = Promise.withResolvers<void>();
    const near = await startOrigin(
      mesh,
      'near',
      bytes,
      slow(2, () => held.promise),
    );
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = orderOf(bytes, [near], {
      substitute: [{ pattern: 'conf/*', encoding: 'utf-8' }],
      variables: { Port: '80' },
    });
    const task = newId();
    const acquiring = packages.acquire(order, task, quiet);
    const early = await fileArriving(dataDir, 'noise/3');
    expect((await stat(join(below(dataDir), '.private'))).mode & 0o777).toBe(0o700);
    expect((await listing(join(early, '..', '..'))).filter((name) => name === 'current' || name === 'last')).toEqual(
      [],
    );
    expect([await madeIn(dataDir), await releasesIn(dataDir)]).toEqual([['building'], []]);
    held.resolve();
    expect(await acquiring).toMatchObject({ from: 'near', done: true });
    const releasePath = await deployUnpacked(packages, order, task, dataDir);
    await isWholeRelease(releasePath);
    expect(await readFile(join(releasePath, 'conf/app.ini'), 'utf8')).toBe('port = 80\n');
    expect(await madeIn(dataDir)).toEqual([]);
  });

  it.each([
    ['zip', zip(entries.filter(({ type }) => type === undefined)), ''],
    ['file', randomBytes(100_000), 'app.jar'],
  ])('and a %s is there once it is acquired', async (format, body, fileName) => {
    const near = await startOrigin(mesh, 'near', body);
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = orderOf(body, [near], { fileName, unpackedBytes: 0, entries: 0 });
    order.package!.format = format;
    const task = newId();
    await packages.acquire(order, task, quiet);
    expect(await madeIn(dataDir)).toEqual(MADE);
    const releasePath = await deployUnpacked(packages, order, task, dataDir);
    if (format === 'zip') return expect(await readFile(join(releasePath, 'last'), 'utf8')).toBe('the end');
    expect(await listing(releasePath)).toEqual(['app.jar']);
    expect((await readFile(join(releasePath, 'app.jar'))).equals(body)).toBe(true);
  });

  it('stays over a restart, and is of its task alone', async () => {
    const near = await startOrigin(mesh, 'near', bytes);
    const dataDir = await tempDir();
    const order = orderOf(bytes, [near]);
    const [mine, other] = [newId(), newId()];
    const before = await open(dataDir);
    await before.acquire(order, mine, quiet);
    await before.stop();
    const packages = await open(dataDir);
    expect(await madeIn(dataDir)).toEqual(MADE);
    expect(await packages.acquire(order, mine, quiet)).toMatchObject({ cached: true });
    await isWholeRelease(await deployUnpacked(packages, order, mine, dataDir));
    await packages.acquire(order, other, quiet);
    await packages.acquire(order, newId(), quiet);
    expect(await madeIn(dataDir)).toEqual(MADE);
    await packages.stage(order, other);
    expect(await madeIn(dataDir)).toEqual([]);
  });

  it('serves two installations with one download, also when one of them gives up', async () => {
    const held = Promise.withResolvers<void>();
    const near = await startOrigin(
      mesh,
      'near',
      bytes,
      slow(2, () => held.promise),
    );
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const [first, second] = [orderOf(bytes, [near]), orderOf(bytes, [near], { installation: { ...web, step: 'api' } })];
    const [task, stop] = [newId(), new AbortController()];
    const gaveUp = expect(packages.acquire(first, task, { ...quiet, signal: stop.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    await fileArriving(dataDir, 'noise/3');
    const other = packages.acquire(second, task, quiet);
    await fileArriving(dataDir, 'noise/3', 'api');
    stop.abort();
    await gaveUp;
    expect(await madeIn(dataDir)).toEqual([]);
    const again = packages.acquire(first, task, quiet);
    held.resolve();
    expect([await other, await again]).toMatchObject([{ from: 'near' }, { done: true }]);
    expect([await madeIn(dataDir), await madeIn(dataDir, 'api')]).toEqual([MADE, MADE]);
    expect(near.requests.length).toBe(1);
    await rm(join(dataDir, 'packages', 'blobs'), { recursive: true });
    for (const order of [first, second]) {
      await packages.stage(order, task);
      await isWholeRelease((await packages.activate(order, task)).releasePath);
    }
  });

  it('keeps the packages of all steps of a task, however many', async () => {
    const dataDir = await tempDir();
    const packages = await open(dataDir, { keptRecent: 0 });
    const task = newId();
    const orders = await Promise.all(
      ['a', 'b', 'c'].map(async (step) => {
        const body = tarGz([{ name: 'last', content: step }]);
        const more = { installation: { ...web, step }, unpackedBytes: 1, entries: 1 };
        return orderOf(body, [await startOrigin(mesh, `near-${step}`, body)], more);
      }),
    );
    await Promise.all(orders.map((order) => packages.acquire(order, task, quiet)));
    for (const order of orders) expect(packages.acquired(order)).toMatchObject({ cached: true });
  });
});

describe('bytes that are not the right ones', () => {
  const wrongAt = (at: number) => {
    const wrong = Buffer.from(bytes);
    wrong[at]! ^= 1;
    return wrong;
  };

  it.each([
    ['the last byte', bytes.length - 1],
    ['one in the middle', Math.floor(bytes.length / 2)],
    ['one of the time in the gzip header, which changes nothing inside', 4],
  ])('%s: nothing is activated, nothing is left, and the right ones of another source are', async (_, at) => {
    const wrong = wrongAt(at);
    const liar = await startOrigin(mesh, 'liar', bytes, wrongBytes(wrong), wrongBytes(wrong));
    const good = await startOrigin(mesh, 'good', bytes);
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const task = newId();
    const alone = orderOf(bytes, [liar]);
    await expect(packages.acquire(alone, task, quiet)).rejects.toMatchObject({ code: 'PACKAGE_UNAVAILABLE' });
    expect([await madeIn(dataDir), await releasesIn(dataDir)]).toEqual([[], []]);
    await expect(packages.stage(alone, task)).rejects.toMatchObject({ code: 'PACKAGE_UNAVAILABLE' });
    liar.behave(wrongBytes(wrong));
    const order = orderOf(bytes, [liar, good]);
    expect(await packages.acquire(order, task, quiet)).toMatchObject({ from: 'good' });
    await isWholeRelease(await deployUnpacked(packages, order, task, dataDir));
  });
});

describe('a package that is not what the release pins', () => {
  it.each([{}, { unpackedBytes: 0, entries: 0 }])('is whole where it is exactly that, or nothing', async (more) => {
    const near = await startOrigin(mesh, 'near', bytes);
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = orderOf(bytes, [near], more);
    const task = newId();
    await packages.acquire(order, task, quiet);
    await isWholeRelease(await deployUnpacked(packages, order, task, dataDir));
  });

  it.each<[string, Partial<PackagePayload__Output>]>([
    ['a byte more', { unpackedBytes: unpackedBytes - 1 }],
    ['an entry more', { entries: entries.length - 1 }],
  ])('has %s: PACKAGE_BOMB, and nothing is left', async (_, more) => {
    const near = await startOrigin(mesh, 'near', bytes);
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = orderOf(bytes, [near], more);
    const task = newId();
    await expect(packages.acquire(order, task, quiet)).rejects.toMatchObject({ code: 'PACKAGE_BOMB' });
    expect(await madeIn(dataDir)).toEqual([]);
    await expect(packages.stage(order, task)).rejects.toMatchObject({ code: 'PACKAGE_BOMB' });
    expect([await madeIn(dataDir), await releasesIn(dataDir)]).toEqual([[], []]);
  });

  it.each<[string, TarEntry]>([
    ['out of the package', { name: 'l', type: '2', linkName: '../..' }],
    ['to a folder of the machine', { name: 'l', type: '2', linkName: '/etc' }],
  ])('a link %s is not made', async (_, link) => {
    const body = tarGz([link, { name: 'a', content: 'x' }]);
    const near = await startOrigin(mesh, 'near', body);
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = orderOf(body, [near]);
    await expect(packages.acquire(order, newId(), quiet)).rejects.toMatchObject({ code: 'PACKAGE_LINK' });
    expect(await madeIn(dataDir)).toEqual([]);
  });
});

describe('an end in the middle', () => {
  it('withdrawn by the server: nothing is left, and the download goes on by range where it was', async () => {
    const near = await startOrigin(mesh, 'near', bytes, stallAt(0.6));
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = orderOf(bytes, [near]);
    const [task, stop] = [newId(), new AbortController()];
    const gaveUp = expect(packages.acquire(order, task, { ...quiet, signal: stop.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    await fileArriving(dataDir, 'noise/3');
    stop.abort();
    await gaveUp;
    expect(await madeIn(dataDir)).toEqual([]);
    await packages.acquire(order, task, quiet);
    expect(Number(/\d+/.exec(near.requests[1]?.range ?? '')?.[0])).toBeGreaterThan(0.5 * bytes.length);
    await isWholeRelease(await deployUnpacked(packages, order, task, dataDir));
  });

  it('staged meanwhile, as after a lost answer: what is being unpacked is not taken', async () => {
    const near = await startOrigin(mesh, 'near', bytes, stallAt(0.6));
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = orderOf(bytes, [near]);
    const task = newId();
    const ended = expect(packages.acquire(order, task, quiet)).rejects.toMatchObject({ code: 'CANCELLED' });
    await fileArriving(dataDir, 'noise/3');
    await expect(packages.stage(order, task)).rejects.toMatchObject({ code: 'PACKAGE_UNAVAILABLE' });
    await ended;
    expect([await madeIn(dataDir), await releasesIn(dataDir)]).toEqual([[], []]);
  });

  it.skipIf(lacks('linux', 'root'))(
    'on a full disk: DISK_FULL, nothing is left, and a larger one takes it',
    async () => {
      const body = tarGz([
        { name: 'zeros', content: Buffer.alloc(8_000_000) },
        { name: 'last', content: 'the end' },
      ]);
      const near = await startOrigin(mesh, 'near', body);
      const dataDir = await smallDisk(2);
      const packages = await open(dataDir, { reserveBytes: 0 });
      const unpinned = orderOf(body, [near], { unpackedBytes: 0, entries: 0 });
      await expect(packages.acquire(unpinned, newId(), quiet)).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(await madeIn(dataDir)).toEqual([]);
      await rm(join(dataDir, 'packages', 'blobs'), { recursive: true, force: true });
      const told = await open(dataDir, { reserveBytes: 0 });
      const asked = near.requests.length;
      const pinned = orderOf(body, [near], { unpackedBytes: 8_000_007, entries: 2 });
      await expect(told.acquire(pinned, newId(), quiet)).rejects.toMatchObject({
        code: 'DISK_FULL',
        message: expect.stringContaining('unpacking it 8000007') as string,
      });
      expect(near.requests.length).toBe(asked);
    },
  );

  const crash = async (under: readonly string[], origin: Origin, dataDir: string, until?: () => Promise<unknown>) => {
    const [order, task] = [orderOf(bytes, [origin]), newId()];
    const args = [program, dataDir, self.dataDir, JSON.stringify(order), task];
    const [command = '', ...options] = [...under, process.execPath, ...args];
    const child = spawn(command, options, { stdio: ['ignore', 'ignore', 'inherit'] });
    const exited = once(child, 'exit');
    if (until !== undefined) {
      await until();
      child.kill('SIGKILL');
    }
    await exited;
    return { order, task };
  };

  const comesBack = async (dataDir: string, { order, task }: Awaited<ReturnType<typeof crash>>) => {
    const packages = await open(dataDir);
    const made = await madeIn(dataDir);
    expect([[], MADE]).toContainEqual(made);
    expect(await releasesIn(dataDir)).toEqual([]);
    await packages.acquire(order, task, quiet);
    await isWholeRelease(await deployUnpacked(packages, order, task, dataDir));
    return made;
  };

  it('kill -9 while files are written: the next start removes them, and goes on with the download', async () => {
    const near = await startOrigin(mesh, 'near', bytes, stallAt(0.6));
    const dataDir = await tempDir();
    const killed = await crash([], near, dataDir, () => fileArriving(dataDir, 'noise/3'));
    expect(await comesBack(dataDir, killed)).toEqual([]);
    expect(near.requests[1]?.range).toBeDefined();
  });

  it.skipIf(lacks('strace')).each([
    ['a file is flushed', 'fsync:when=4', []],
    ['links are made', 'symlink:when=1', []],
    ['the package enters the cache', 'rename:when=2', []],
    ['it is said to be unpacked', 'rename:when=3', MADE],
  ])('kill -9 as %s', async (_, syscall, left) => {
    const near = await startOrigin(mesh, 'near', bytes);
    const dataDir = await tempDir();
    const [name] = syscall.split(':');
    const inject = ['-e', `trace=${name}`, '-e', `inject=${name}:signal=KILL:${syscall.split(':')[1]}`];
    const killed = await crash(['strace', '-f', '-qq', '-o', '/dev/null', ...inject], near, dataDir);
    expect(await comesBack(dataDir, killed)).toEqual(left);
  });
});
