// A tentacle's packages: fetched whole or not at all, unpacked beside the running release, switched in one step, and
// resumed at any point.
import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { createPackages, type Packages, type PackagesOptions } from '../../tentacle/packages/packages.ts';
import { releaseName } from '../../tentacle/packages/releases.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { noMesh } from '../support/no-mesh.ts';
import { heardLog } from '../support/heard-log.ts';
import { lacks } from '../support/needs.ts';
import { smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { tarGz, type TarEntry } from './craft.ts';
import { NO_FILE_RULES, NOWHERE_ELSE } from './orders.ts';
import { cutAt, slow, startOrigin, wrongBytes, type Origin } from './origin.ts';

const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const never = new AbortController().signal;
const quiet = { onProgress: () => undefined, signal: never };
const installation = { project: 'shop', environment: 'prod', step: 'web' };
const folderOf = (dataDir: string) => join(dataDir, 'applications', 'shop', 'prod', 'web');
/** What a task is told whose release another task of the same installation has replaced. */
const GONE = expect.stringMatching('^(?:APPLICATION_MISSING|PACKAGE_NOT_STAGED)$') as unknown;
/** The release that is current. */
const currentOf = async (dataDir: string) => realpath(join(folderOf(dataDir), 'current'));

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
  const connect: PackagesOptions['connect'] = (source, signal) => connectSource(source, access, signal);
  const packages = await createPackages({
    ...{ dataDir, connect, onWrongSource: () => undefined, log: silentLogger(), hasOpenScript: () => false },
    ...NOWHERE_ELSE,
    ...options,
  });
  onTestFinished(() => packages.stop());
  return packages;
}

function app(version: string, more: TarEntry[] = []): Buffer {
  const program: TarEntry = { name: './app.js', content: `console.log(${JSON.stringify(version)})`, mode: 0o755 };
  return tarGz([program, { name: './noise', content: randomBytes(400_000) }, ...more]);
}

function payload(
  bytes: Buffer,
  version: string,
  more: Partial<PackagePayload__Output> = {},
  origins: Origin[] = [],
): PackagePayload__Output {
  return {
    package: { id: 'web', version, sha256: sha256Of(bytes), sizeBytes: bytes.length, format: 'tar.gz' },
    installation, downloadToken: 'p', substitute: [], variables: {}, sensitiveNames: [], ...NO_FILE_RULES,
    sources: origins.map(({ node, url }) => ({ node, path: [], url, upstream: null, pushed: false })),
    ...more,
  }; // prettier-ignore
}

const rules = (...patterns: string[]) => patterns.map((pattern) => ({ pattern, encoding: 'utf-8' }));

/** Acquires from an honest origin, stages, activates, and settles. */
async function deploy(packages: Packages, bytes: Buffer, version: string, more: Partial<PackagePayload__Output> = {}) {
  const task = newId();
  const order = payload(bytes, version, more, [await startOrigin(mesh, 'near', bytes)]);
  await packages.acquire(order, task, quiet);
  await packages.stage(order, task);
  await packages.activate(order, task);
  return packages.settle(order, task);
}

describe('acquiring', () => {
  it('tells how far it is and where it comes from, and fetches once', async () => {
    const bytes = app('1');
    const near = await startOrigin(mesh, 'near', bytes);
    const packages = await open(await tempDir());
    const seen: number[] = [];
    const order = payload(bytes, '1.0', {}, [near]);
    const [first, second] = await Promise.all([
      packages.acquire(order, newId(), { onProgress: ({ receivedBytes }) => seen.push(receivedBytes), signal: never }),
      packages.acquire(order, newId(), quiet),
    ]);
    expect(first).toEqual({
      receivedBytes: bytes.length,
      totalBytes: bytes.length,
      from: 'near',
      done: true,
      cached: false,
      failed: [],
    });
    expect(second).toEqual(first);
    expect(seen.at(-1)).toBe(bytes.length);
    expect(await packages.acquire(order, newId(), quiet)).toMatchObject({
      cached: true,
      done: true,
    });
    expect(near.requests.length).toBe(1);
  });

  it('goes on by range after a restart, at another source', async () => {
    const bytes = app('1');
    const dataDir = await tempDir();
    const stop = new AbortController();
    const near = await startOrigin(
      mesh,
      'near',
      bytes,
      slow(4, () => new Promise(() => undefined)),
    );
    const before = await open(dataDir);
    const gaveUp = before.acquire(payload(bytes, '1.0', {}, [near]), newId(), {
      onProgress: () => stop.abort(),
      signal: stop.signal,
    });
    await expect(gaveUp).rejects.toMatchObject({ code: 'CANCELLED' });
    await before.stop();
    const far = await startOrigin(mesh, 'far', bytes);
    const after = await open(dataDir);
    expect(await after.acquire(payload(bytes, '1.0', {}, [far]), newId(), quiet)).toMatchObject({
      from: 'far',
    });
    expect(Number(/\d+/.exec(far.requests[0]?.range ?? '')?.[0])).toBeGreaterThan(0);
  });

  it('begins again at once when the one who asked has just given up', async () => {
    const bytes = app('1');
    const near = await startOrigin(
      mesh,
      'near',
      bytes,
      slow(4, () => new Promise(() => undefined)),
    );
    const packages = await open(await tempDir());
    const order = payload(bytes, '1.0', {}, [near]);
    const stop = new AbortController();
    let again: ReturnType<Packages['acquire']> | undefined;
    const gaveUp = packages.acquire(order, newId(), {
      onProgress: () => {
        stop.abort();
        again ??= nextTurn().then(() => packages.acquire(order, newId(), quiet));
      },
      signal: stop.signal,
    });
    await expect(gaveUp).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await again).toMatchObject({ from: 'near', done: true });
  });

  it('names the sources that failed, skips a liar, and installs what is right', async () => {
    const bytes = app('1');
    const old = app('0');
    const liar = await startOrigin(
      mesh,
      'liar',
      old,
      wrongBytes(Buffer.concat([old, bytes]).subarray(0, bytes.length)),
    );
    const cut = await startOrigin(mesh, 'cut', bytes, cutAt(0.6), cutAt(0.6));
    const good = await startOrigin(mesh, 'good', bytes);
    const packages = await open(await tempDir());
    const order = payload(bytes, '1.0', {}, [liar, cut, good]);
    const { from, failed } = await packages.acquire(order, newId(), quiet);
    expect([from, failed.map(({ node, code }) => [node, code])]).toEqual([
      'good', [['liar', 'PACKAGE_HASH_MISMATCH'], ['cut', 'SOURCE_FAILED']],
    ]); // prettier-ignore
    const task = newId();
    await packages.stage(order, task);
    const { releasePath } = await packages.activate(order, task);
    expect(await readFile(join(releasePath, 'app.js'), 'utf8')).toBe('console.log("1")');
  });

  it('never unpacks what is not the pinned bytes', async () => {
    const bytes = app('1');
    // Same size and a valid archive: only the digest differs.
    const other = Buffer.from(bytes);
    other[4]! ^= 1;
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const order = payload(bytes, '1.0', {}, [
      await startOrigin(mesh, 'liar', other, wrongBytes(other), wrongBytes(other)),
    ]);
    await expect(packages.acquire(order, newId(), quiet)).rejects.toMatchObject({
      code: 'PACKAGE_UNAVAILABLE',
    });
    await expect(packages.stage(order, newId())).rejects.toMatchObject({ code: 'PACKAGE_UNAVAILABLE' });
    expect(await readdir(join(folderOf(dataDir), 'releases'))).toEqual([]);
    expect(await readdir(join(dataDir, 'packages', 'blobs'))).toEqual([]);
  });

  it.each([
    ['more', 1],
    ['less', -1],
  ])('keeps nothing of a package that has %s bytes than its order says', async (_, wrong) => {
    const bytes = app('1');
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const honest = await startOrigin(mesh, 'near', bytes);
    const { package: wanted, ...order } = payload(bytes, '1.0', {}, [honest]);
    const mistaken = { ...order, package: { ...wanted!, sizeBytes: bytes.length - wrong } };
    await expect(packages.acquire(mistaken, newId(), quiet)).rejects.toMatchObject({
      code: 'PACKAGE_UNAVAILABLE',
    });
    await expect(packages.stage(mistaken, newId())).rejects.toMatchObject({ code: 'PACKAGE_UNAVAILABLE' });
    expect(await readdir(join(folderOf(dataDir), 'releases'))).toEqual([]);
    expect(await readdir(join(dataDir, 'packages', 'blobs'))).toEqual([]);
  });

  it('does not begin what the disk has no room for', async () => {
    const bytes = app('1');
    const near = await startOrigin(mesh, 'near', bytes);
    const packages = await open(await tempDir(), { reserveBytes: Number.MAX_SAFE_INTEGER });
    await expect(packages.acquire(payload(bytes, '1.0', {}, [near]), newId(), quiet)).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    expect(near.requests).toEqual([]);
  });

  it.each([
    ['environment', { installation: { ...installation, environment: '../x' } }],
    ['version', { package: { id: 'web', version: '../1', sha256: 'a'.repeat(64), sizeBytes: 1, format: 'zip' } }],
    ['digest', { package: { id: 'web', version: '1', sha256: '../../x', sizeBytes: 1, format: 'zip' } }],
    ['size', { package: { id: 'web', version: '1', sha256: 'a'.repeat(64), sizeBytes: 0, format: 'zip' } }],
  ])('rejects an order with a wrong %s', async (_, more) => {
    const packages = await open(await tempDir());
    const order = payload(app('1'), '1.0', more);
    await expect(packages.stage(order, newId())).rejects.toMatchObject({ code: 'INVALID_FIELD' });
  });
});

describe('a full disk', () => {
  it.skipIf(lacks('linux', 'root'))(
    'while unpacking: DISK_FULL, nothing half stays, what runs is untouched',
    async () => {
      const dataDir = await smallDisk(2);
      const packages = await open(dataDir, { reserveBytes: 0 });
      const before = await deploy(packages, app('1'), '1.0');
      const large = tarGz([{ name: 'zeros', content: Buffer.alloc(8_000_000) }]);
      await expect(deploy(packages, large, '2.0')).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect((await readdir(join(folderOf(dataDir), 'releases'))).length).toBe(2);
      expect(await currentOf(dataDir)).toBe(before.releasePath);
    },
  );

  it.skipIf(lacks('linux', 'root'))('while fetching: DISK_FULL, and what came is gone on with later', async () => {
    const bytes = tarGz([{ name: 'noise', content: randomBytes(3_000_000) }]);
    const near = await startOrigin(mesh, 'near', bytes);
    const order = payload(bytes, '1.0', {}, [near]);
    const dataDir = await smallDisk(2);
    const full = await open(dataDir, { reserveBytes: -(10 ** 9) });
    await expect(full.acquire(order, newId(), quiet)).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    execFileSync('mount', ['-o', 'remount,size=8m', dataDir]);
    expect(await full.acquire(order, newId(), quiet)).toMatchObject({
      done: true,
      cached: false,
    });
    expect(near.requests.map(({ range }) => range !== undefined)).toEqual([false, true]);
  });
});

describe('staging and switching', () => {
  it('keeps three releases and their packages, removes older ones, and goes back', async () => {
    const dataDir = await tempDir();
    const packages = await open(dataDir, { keptRecent: 0 });
    const [one, two, three, four] = [app('1'), app('2'), app('3'), app('4')];
    expect(await deploy(packages, one, '1.0')).toMatchObject({
      currentVersion: '1.0',
      previousVersion: '',
      files: 2,
    });
    expect(await deploy(packages, two, '2.0')).toMatchObject({ currentVersion: '2.0', previousVersion: '1.0' });
    expect(await deploy(packages, three, '3.0')).toMatchObject({ currentVersion: '3.0', previousVersion: '2.0' });
    expect(await deploy(packages, four, '4.0')).toMatchObject({ currentVersion: '4.0', previousVersion: '3.0' });
    const releases = join(folderOf(dataDir), 'releases');
    const kept = [two, three, four].map((bytes, i) => `${i + 2}.0.0-${sha256Of(bytes).slice(0, 12)}`);
    const names = (await readdir(releases)).sort();
    expect(names.map((name) => name.replace(/-[0-9a-f]{12}(?=$|[.])/, ''))).toEqual(
      kept.flatMap((name) => [name, `${name}.json`]),
    );
    const cached = await readdir(join(dataDir, 'packages', 'blobs'), { recursive: true });
    expect(cached.filter((name) => name.includes('/')).length).toBe(3);
    expect(await deploy(packages, two, '2.0')).toMatchObject({ currentVersion: '2.0', previousVersion: '4.0' });
    // The folder of the earlier activation is not taken: this one is new.
    expect(names).not.toContain(basename(await currentOf(dataDir)));
  });

  it.skipIf(lacks('linux', 'root'))('switches on, whatever an older release has that cannot be removed', async () => {
    const dataDir = await tempDir();
    const { log, lines } = heardLog();
    const packages = await open(dataDir, { keptRecent: 0, log });
    const first = await deploy(packages, app('1'), '1.0');
    const mounted = join(first.releasePath, 'mounted');
    await mkdir(mounted);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mounted]);
    const application = folderOf(dataDir);
    onTestFinished(
      () =>
        void execFileSync('sh', ['-c', 'umount -l "$0"/*/*/mounted "$0"/.[p]*/*/mounted; true', application], {
          stdio: 'ignore',
        }),
    );
    for (const version of ['2.0', '3.0', '4.0', '5.0']) {
      expect(await deploy(packages, app(version), version)).toMatchObject({ currentVersion: version });
    }
    expect((await readdir(join(application, 'releases'))).length).toBe(6);
    const left = await readdir(join(application, '.private'), { recursive: true });
    expect(left).toEqual([expect.stringMatching('^1[.]0[.]0-'), expect.stringMatching('/mounted$')]);
    const told = lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    expect([...new Set(told)]).toEqual(['older releases cannot be removed completely']);
    const cached = await readdir(join(dataDir, 'packages', 'blobs'), { recursive: true });
    expect(cached.filter((name) => name.includes('/')).length).toBe(3);
  });

  it('does every step again without a change, also after a restart', async () => {
    const dataDir = await tempDir();
    const bytes = app('1');
    const packages = await open(dataDir);
    const first = await deploy(packages, bytes, '1.0');
    await deploy(packages, app('2'), '2.0');
    const task = newId();
    const order = payload(bytes, '1.0');
    const staged = await packages.stage(order, task);
    expect(await packages.stage(order, task)).toEqual(staged);
    const back = await packages.activate(order, task);
    expect(back).toEqual({ ...first, releasePath: back.releasePath, previousVersion: '2.0' });
    const again = await open(dataDir);
    expect(await again.stage(order, task)).toEqual(back);
    expect(await again.activate(order, task)).toEqual(back);
    expect(await again.releaseFolder(installation, task)).toBe(back.releasePath);
    expect(await currentOf(dataDir)).toBe(back.releasePath);
  });

  it('takes nothing over that scripts may have changed: each order is unpacked anew', async () => {
    const dataDir = await tempDir();
    const bytes = app('1');
    const packages = await open(dataDir);
    const first = await deploy(packages, bytes, '1.0');
    await writeFile(join(first.releasePath, 'app.js'), 'changed by the application');
    const order = payload(bytes, '1.0');
    const staged = await packages.stage(order, newId());
    expect(staged.releasePath).not.toBe(first.releasePath);
    await writeFile(join(staged.releasePath, 'app.js'), 'changed by a pre-deploy script');
    await writeFile(join(staged.releasePath, 'left-over'), '');
    const task = newId();
    await packages.stage(order, task);
    const { releasePath } = await packages.activate(order, task);
    expect(await readFile(join(releasePath, 'app.js'), 'utf8')).toBe('console.log("1")');
    expect((await readdir(releasePath)).sort()).toEqual(['app.js', 'noise']);
    expect(await readdir(join(folderOf(dataDir), '.private'))).toEqual([]);
  });

  it('never takes the release of another task, in whatever order two tasks come', async () => {
    const packages = await open(await tempDir());
    const bytes = { one: app('1'), two: app('2') };
    for (const each of Object.values(bytes)) {
      const order = payload(each, '1.0', {}, [await startOrigin(mesh, 'near', each)]);
      await packages.acquire(order, newId(), quiet);
    }
    const steps = ['stage', 'pre', 'activate', 'post'] as const;
    /** Runs one task's steps as they are called for; each one sees its own release, or none. */
    const runner = (content: Buffer, says: string, environment: string) => {
      const task = newId();
      const order = payload(content, `${says}.0`, { installation: { ...installation, environment } });
      const sees = async () => {
        const folder = await packages.releaseFolder(order.installation!, task);
        expect(await readFile(join(folder, 'app.js'), 'utf8')).toBe(`console.log("${says}")`);
      };
      return async (step: (typeof steps)[number]): Promise<string> => {
        if (step === 'stage') await packages.stage(order, task);
        else if (step === 'activate') return (await packages.activate(order, task)).releasePath;
        else await sees();
        return '';
      };
    };
    const interleaving = fc.shuffledSubarray([0, 0, 0, 0, 1, 1, 1, 1], { minLength: 8 });
    await fc.assert(
      fc.asyncProperty(interleaving, fc.boolean(), async (order, sameEnvironment) => {
        const runners = [runner(bytes.one, '1', 'test'), runner(bytes.two, '2', sameEnvironment ? 'test' : 'prod')];
        const at = [0, 0];
        for (const which of order) {
          const step = steps[at[which]!++]!;
          const done = runners[which]!(step);
          // Two tasks of one installation never run at once: the later one replaces what the other staged.
          if (sameEnvironment) await done.catch((error: unknown) => expect(error).toMatchObject({ code: GONE }));
          else await done;
        }
      }),
      { numRuns: 12 },
    );
  });

  it('begins again where unpacking was interrupted', async () => {
    const dataDir = await tempDir();
    const bytes = app('1');
    const packages = await open(dataDir);
    const order = payload(bytes, '1.0', {}, [await startOrigin(mesh, 'near', bytes)]);
    await packages.acquire(order, newId(), quiet);
    const task = newId();
    const name = releaseName({ version: '1.0.0', sha256: sha256Of(bytes) }, task);
    const half = join(folderOf(dataDir), 'releases', `${name}.staging`);
    await mkdir(half, { recursive: true });
    await writeFile(join(half, 'app.js'), 'half');
    await writeFile(join(half, 'left-over'), '');
    await expect(packages.activate(order, task)).rejects.toMatchObject({ code: 'PACKAGE_NOT_STAGED' });
    await expect(packages.releaseFolder(installation, task)).rejects.toMatchObject({ code: 'APPLICATION_MISSING' });
    const staged = await packages.stage(order, task);
    expect(staged.releasePath).toBe(half);
    expect(await packages.releaseFolder(installation, task)).toBe(half);
    const { releasePath } = await packages.activate(order, task);
    expect((await readdir(releasePath)).sort()).toEqual(['app.js', 'noise']);
  });

  it('leaves what runs alone when the package is bad', async () => {
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const before = await deploy(packages, app('1'), '1.0');
    const evil = tarGz([
      { name: 'ok', content: 'x' },
      { name: '../../../escaped', content: 'x' },
    ]);
    await expect(deploy(packages, evil, '2.0')).rejects.toMatchObject({ code: 'PACKAGE_PATH_ESCAPE' });
    expect(await currentOf(dataDir)).toBe(before.releasePath);
    expect((await readdir(join(folderOf(dataDir), 'releases'))).length).toBe(2);
    await expect(packages.activate(payload(evil, '2.0'), newId())).rejects.toMatchObject({
      code: 'PACKAGE_NOT_STAGED',
    });
  });

  it.each<[string, string, string, Record<string, string>]>([
    ['more than 10 MB', 'VARIABLE_TOO_LARGE', '#{A}'.repeat(200), { A: 'x'.repeat(100_000) }],
    ['a block without an end', 'VARIABLE_SYNTAX', '#{if A}', { A: 'x' }],
  ])('leaves what runs alone when a file needs %s', async (_, code, content, variables) => {
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const before = await deploy(packages, app('1'), '1.0');
    const bytes = app('2', [{ name: 'app.json', content }]);
    const more = { substitute: rules('*.json'), variables };
    await expect(deploy(packages, bytes, '2.0', more)).rejects.toMatchObject({ code });
    expect(await currentOf(dataDir)).toBe(before.releasePath);
    expect((await readdir(join(folderOf(dataDir), 'releases'))).length).toBe(2);
    await expect(packages.activate(payload(bytes, '2.0', more), newId())).rejects.toMatchObject({
      code: 'PACKAGE_NOT_STAGED',
    });
  });

  it('substitutes variables in the files that are named, and only there', async () => {
    const dataDir = await tempDir();
    const packages = await open(dataDir);
    const picture = Buffer.from([0x89, 0x50, 0, 0xff, ...Buffer.from('#{Name}')]);
    const bytes = app('1', [
      { name: 'config/app.json', content: '{"name":"#{Name}","db":"#{Password}","raw":"##{Name}"}', mode: 0o644 },
      { name: 'config/pic.png', content: picture },
      { name: 'config/plain.json', content: '#{Name}', mode: 0o644 },
      { name: 'config/asks.json', content: '#{if Password}yes#{/if}', mode: 0o644 },
      { name: 'readme.md', content: '#{Name}' },
    ]);
    const more = {
      substitute: rules('config/**'),
      variables: { Name: 'Zoë', Password: 'hunter2' },
      sensitiveNames: ['Password'],
    };
    const first = await deploy(packages, bytes, '1.0', more);
    const config = join(first.releasePath, 'config/app.json');
    expect(await readFile(config, 'utf8')).toBe('{"name":"Zoë","db":"hunter2","raw":"#{Name}"}');
    const modeOf = async (name: string) => (await stat(join(first.releasePath, 'config', name))).mode & 0o777;
    expect(await modeOf('app.json')).toBe(0o600);
    // Only the file that took a secret in, and it says so.
    expect([await modeOf('plain.json'), await modeOf('asks.json')]).toEqual([0o644, 0o644]);
    expect(first.warnings).toEqual([
      {
        ...{ kind: 'sensitive', file: 'config/app.json', line: 0 },
        text: 'took in a sensitive value: only its owner may read it',
      },
      {
        ...{ kind: 'not-text', file: 'config/pic.png', line: 0 },
        text: 'is not text in utf-8: nothing was substituted in it',
      },
    ]);
    expect(await readFile(join(first.releasePath, 'config/pic.png'))).toEqual(picture);
    expect(await readFile(join(first.releasePath, 'readme.md'), 'utf8')).toBe('#{Name}');
    // Other variables give another release of the same package; the running one is not touched before the switch.
    const task = newId();
    const changed = payload(bytes, '1.0', { ...more, variables: { Name: 'Zoë', Password: 'changed' } });
    await packages.stage(changed, task);
    const second = await packages.activate(changed, task);
    expect(second.releasePath).not.toBe(first.releasePath);
    expect(await readFile(join(second.releasePath, 'config/app.json'), 'utf8')).toContain('changed');
    expect(await readFile(config, 'utf8')).toContain('hunter2');
  });

  it.skipIf(lacks('linux', 'root'))('lets the user of scripts in only when every file has its owner', async () => {
    const dataDir = await tempDir();
    const packages = await open(dataDir, { owner: { uid: 65534, gid: 65534 } });
    const folders = Array.from({ length: 300 }, (_, n): TarEntry => ({ name: `f${n}/file`, content: 'x' }));
    const bytes = app('1', folders);
    const order = payload(bytes, '1.0', {}, [await startOrigin(mesh, 'near', bytes)]);
    await packages.acquire(order, newId(), quiet);
    const application = folderOf(dataDir);
    const ownersOf = async (folder: string): Promise<number[]> => {
      const path = join(application, folder);
      const names = (await readdir(path).catch(() => [])).filter((name) => name.endsWith('.staging'));
      return Promise.all(
        names.map((name) =>
          stat(join(path, name)).then(
            ({ uid }) => uid,
            () => -1,
          ),
        ),
      );
    };
    let done = false;
    const staging = packages.stage(order, newId()).finally(() => (done = true));
    const seen = new Set<number>();
    while (!done) for (const uid of await ownersOf('releases')) seen.add(uid);
    await staging;
    // While root owned the folder, nobody else could reach its content.
    expect([...seen].filter((uid) => uid !== -1 && uid !== 65534)).toEqual([]);
    const { uid, mode } = await stat(join(application, '.private'));
    expect([uid, mode & 0o777]).toEqual([0, 0o700]);
  });

  it.skipIf(process.getuid?.() !== 0)('gives the files to the user that scripts run as', async () => {
    const dataDir = await tempDir();
    await chmod(dataDir, 0o711);
    const packages = await open(dataDir, { owner: { uid: 65534, gid: 65534 } });
    const { releasePath } = await deploy(packages, app('1'), '1.0');
    const { uid, gid, mode } = await stat(join(releasePath, 'app.js'));
    expect([uid, gid, mode & 0o777]).toEqual([65534, 65534, 0o755]);
    expect((await stat(join(dataDir, 'packages', 'stamp.key'))).mode & 0o077).toBe(0);
  });
});
