// What is deployed and who may read it: releases for every account, owner and permissions as a step says, and copies in
// folders beside the data folder, which are never taken from somebody else.
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmod, chown, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { createPackages } from '../../tentacle/packages/packages.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { lacks } from '../support/needs.ts';
import { noMesh } from '../support/no-mesh.ts';
import { smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { tarGz, type TarEntry } from './craft.ts';
import { NO_FILE_RULES, NOWHERE_ELSE } from './orders.ts';
import { startOrigin } from './origin.ts';

const installation = { project: 'shop', environment: 'prod', step: 'web' };
const NOBODY = 65534;

let mesh: TestMesh;
let self: TestNode;
beforeAll(async () => {
  const removals: (() => void)[] = [];
  mesh = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  self = await mesh.node('tentacle-1', 'tentacle');
  return () => removals.forEach((remove) => remove());
});

type More = Partial<PackagePayload__Output>;
type Action = 'stage' | 'activate' | 'settle';

interface Machine {
  readonly dataDir: string;
  readonly root: string;
  /** Begins a deployment of a release that has a file `version`, and these; returns what carries out its actions. */
  begin(
    major: number,
    more?: More,
    entries?: TarEntry[],
    withdrawn?: AbortSignal,
  ): Promise<(action: Action, more?: More) => Promise<string>>;
  /** All of it. */
  deploy(major: number, more?: More, entries?: TarEntry[]): Promise<void>;
}

async function machine(given: { readonly root?: string; readonly dataDir?: string } = {}): Promise<Machine> {
  const dataDir = given.dataDir ?? (await tempDir());
  const root = given.root ?? (await tempDir());
  const access = { mesh: noMesh(), identity: self.identity, revocations: self.revocations, loopback: true };
  const packages = await createPackages({
    ...{ dataDir, onWrongSource: () => undefined, log: silentLogger(), hasOpenScript: () => false },
    tentacle: NOWHERE_ELSE.tentacle,
    installRoots: [root],
    connect: (source, signal) => connectSource(source, access, signal),
  });
  onTestFinished(() => packages.stop());
  const begin: Machine['begin'] = async (major, more = {}, entries = [], withdrawn) => {
    const bytes = tarGz([{ name: 'version', content: `${major}.0.0` }, ...entries]);
    const { node, url } = await startOrigin(mesh, 'near', bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const order: PackagePayload__Output = {
      package: { id: 'web', version: `${major}.0.0`, sha256, sizeBytes: bytes.length, format: 'tar.gz' },
      ...{ installation, downloadToken: 'p', substitute: [], variables: {}, sensitiveNames: [], ...NO_FILE_RULES },
      sources: [{ node, path: [], url, upstream: null, pushed: false }],
      ...more,
    };
    const task = newId();
    await packages.acquire(order, task, { onProgress: () => undefined, signal: new AbortController().signal });
    return async (action, last = {}) => (await packages[action]({ ...order, ...last }, task, withdrawn)).releasePath;
  };
  return {
    ...{ dataDir, root, begin },
    async deploy(major, more, entries) {
      const run = await begin(major, more, entries);
      for (const action of ['stage', 'activate', 'settle'] as const) await run(action);
    },
  };
}

const currentOf = ({ dataDir }: Machine) => join(dataDir, 'applications', 'shop', 'prod', 'web', 'current');
const versionIn = (folder: string) => readFile(join(folder, 'version'), 'utf8').catch(() => undefined);
const modeOf = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8);

describe('what is deployed', () => {
  it.skipIf(lacks('linux', 'root'))('is readable by another account, and nothing else is', async () => {
    const before = process.umask(0o077);
    onTestFinished(() => void process.umask(before));
    const dataDir = await tempDir();
    const at = await machine({ dataDir });
    await at.deploy(1);
    const asNobody = (...command: string[]) =>
      execFileSync('setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...command], {
        stdio: ['ignore', 'pipe', 'ignore'],
      }).toString();
    expect(asNobody('cat', join(currentOf(at), 'version'))).toBe('1.0.0');
    expect(asNobody('ls', join(at.dataDir, 'applications', 'shop', 'prod', 'web', 'releases'))).toContain('1.0.0-');
    for (const path of ['', 'packages', 'packages/stamp.key', 'applications/shop/prod/web/.private']) {
      const tool = (await stat(join(at.dataDir, path))).isDirectory() ? 'ls' : 'cat';
      expect(() => asNobody(tool, join(at.dataDir, path)), path).toThrow();
    }
  });

  it.each([0o600, 0o640, 0o644])('leaves the settings of the operator alone, with mode %o', async (mode) => {
    const dataDir = await tempDir();
    const settings = join(dataDir, 'config.yaml');
    await writeFile(settings, 'installRoots: []');
    await chmod(settings, mode);
    // It changes also when a mode is set again, which only the owner may do.
    const { ctimeMs } = await stat(settings);
    await (await machine({ dataDir })).deploy(1);
    expect(await stat(settings)).toMatchObject({ mode: 0o100000 | mode, ctimeMs });
  });

  it.skipIf(lacks('linux', 'root'))('has the owner, the group and the modes that the step names', async () => {
    const at = await machine();
    const entries: TarEntry[] = [
      { name: 'bin/run', content: '#!/bin/sh', mode: 0o755 },
      { name: 'config.json', content: '#{Password}', mode: 0o644 },
    ];
    await at.deploy(
      1,
      {
        ...{ owner: 'nobody', group: 'daemon', fileMode: 0o640, folderMode: 0o750 },
        ...{ substitute: [{ pattern: '*.json', encoding: 'utf-8' }], variables: { Password: 'hunter2' } },
        sensitiveNames: ['Password'],
      },
      entries,
    );
    const folder = currentOf(at);
    const names = ['', 'bin', 'bin/run', 'version', 'config.json'];
    expect(await Promise.all(names.map((name) => modeOf(join(folder, name))))).toEqual([
      ...['750', '750', '750'],
      ...['640', '640'],
    ]);
    for (const name of names) expect((await stat(join(folder, name))).uid).toBe(NOBODY);
    const daemon = execFileSync('getent', ['group', 'daemon']).toString().split(':')[2];
    expect(String((await stat(join(folder, 'config.json'))).gid)).toBe(daemon);
    // A group that nobody named does not get to read a secret.
    await at.deploy(
      2,
      {
        ...{ fileMode: 0o644, substitute: [{ pattern: '*.json', encoding: 'utf-8' }] },
        ...{ variables: { Password: 'hunter2' }, sensitiveNames: ['Password'] },
      },
      entries,
    );
    expect([await modeOf(join(folder, 'version')), await modeOf(join(folder, 'config.json'))]).toEqual(['644', '600']);
  });

  it('is not unpacked for an account that the machine does not have', async () => {
    const at = await machine();
    for (const more of [{ owner: 'no-such-account' }, { group: 'no-such-account' }]) {
      const run = await at.begin(1, more);
      await expect(run('stage')).rejects.toMatchObject({ code: 'ACCOUNT_UNKNOWN', field: Object.keys(more)[0] });
    }
    expect(await readdir(join(at.dataDir, 'applications', 'shop', 'prod', 'web', 'releases'))).toEqual([]);
  });
});

/** A data folder and an install root of the account that the test goes on as: not root's, whom no mode holds up. */
async function unprivileged(): Promise<{ readonly root: string; readonly dataDir: string }> {
  const folders = { root: await tempDir(), dataDir: await tempDir() };
  for (const path of Object.values(folders)) await chown(path, NOBODY, NOBODY);
  process.seteuid!(NOBODY);
  onTestFinished(() => process.seteuid!(0));
  return folders;
}

describe.skipIf(lacks('linux', 'root'))('modes that hold up their owner, where the agent is not root', () => {
  it('let the next release be installed after one whose folders are read-only', async () => {
    const at = await machine(await unprivileged());
    const more = { installTo: join(at.root, 'web'), folderMode: 0o555 };
    for (const major of [1, 1, 2]) {
      await at.deploy(major, more, [{ name: 'conf/app.ini', content: 'x' }]);
      expect([await versionIn(more.installTo), await modeOf(more.installTo)]).toEqual([`${major}.0.0`, '555']);
    }
    const run = await at.begin(3, more);
    for (const action of ['stage', 'activate'] as const) await run(action);
    await run('settle', { revert: true });
    expect([await versionIn(more.installTo), await modeOf(more.installTo)]).toEqual(['2.0.0', '555']);
  });

  it.each<[string, More]>([
    ['as they are in the package', {}],
    ['as the step says', { fileMode: 0o640 }],
  ])('are no hindrance to substitution and to the copy, and come last, %s', async (_, rules) => {
    const at = await machine(await unprivileged());
    const installTo = join(at.root, 'web');
    const entries: TarEntry[] = [
      { name: 'hidden/', type: '5', mode: 0o300 },
      { name: 'hidden/app.ini', content: 'name=#{Name}', mode: 0o200 },
      { name: 'hidden/plain.ini', content: 'plain', mode: 0o000 },
      { name: 'closed/', type: '5', mode: 0o000 },
      { name: 'closed/file', content: 'x', mode: 0o644 },
    ];
    const substitute = [{ pattern: '**/*.ini', encoding: 'utf-8' }];
    await at.deploy(1, { installTo, substitute, variables: { Name: 'Zoë' }, ...rules }, entries);
    process.seteuid!(0);
    const found: unknown[] = [];
    for (const folder of [currentOf(at), installTo]) {
      expect(await readFile(join(folder, 'hidden/app.ini'), 'utf8')).toBe('name=Zoë');
      const names = ['hidden', 'hidden/app.ini', 'hidden/plain.ini', 'closed', 'closed/file'];
      found.push(await Promise.all(names.map((name) => modeOf(join(folder, name)))));
    }
    const files = 'fileMode' in rules ? ['640', '640', '640'] : ['200', '0', '644'];
    const expected = ['300', files[0], files[1], '0', files[2]];
    expect(found).toEqual([expected, expected]);
  });

  it.each([
    ['another account has', 0o755],
    ['another account has, and that it may not read', 0o700],
  ])('leave a folder alone that %s', async (_, mode) => {
    const at = await machine(await unprivileged());
    process.seteuid!(0);
    const installTo = join(at.root, 'web');
    await mkdir(installTo, { mode });
    process.seteuid!(NOBODY);
    for (const path of [installTo, join(installTo, 'below')]) {
      const run = await at.begin(1, { installTo: path });
      await run('stage');
      await expect(run('activate')).rejects.toMatchObject({ code: 'INSTALL_FORBIDDEN', field: 'installTo' });
      await run('settle', { revert: true });
    }
  });
});

async function linked(target: string, path: string): Promise<string> {
  await symlink(target, path);
  return path;
}

async function written(path: string): Promise<string> {
  await writeFile(path, '');
  return path;
}

describe('installTo', () => {
  it('gets a copy with modes, times and links, which the next release replaces', async () => {
    const at = await machine();
    const installTo = join(at.root, 'apps', 'web');
    const run = await at.begin(1, { installTo }, [
      { name: 'bin/run', content: '#!/bin/sh', mode: 0o755 },
      { name: 'old', content: 'x' },
    ]);
    const staged = await run('stage');
    await symlink('bin/run', join(staged, 'start'));
    await symlink('/etc/passwd', join(staged, 'outside'));
    await chmod(join(staged, 'version'), 0o604);
    const current = await run('activate');
    await run('settle');
    expect((await readdir(installTo)).sort()).toEqual(
      ['.isthmus-installation', 'bin', 'old', 'outside', 'start', 'version'],
    ); // prettier-ignore
    expect([await modeOf(join(installTo, 'bin/run')), await modeOf(join(installTo, 'version'))]).toEqual([
      '755',
      '604',
    ]);
    expect(await readlink(join(installTo, 'start'))).toBe('bin/run');
    expect((await lstat(join(installTo, 'outside'))).isSymbolicLink()).toBe(true);
    expect((await stat(join(installTo, 'old'))).mtimeMs).toBeCloseTo((await stat(join(current, 'old'))).mtimeMs, 0);
    await writeFile(join(installTo, 'left by the application'), '');
    await at.deploy(2, { installTo });
    expect((await readdir(installTo)).sort()).toEqual(['.isthmus-installation', 'version']);
    expect(await versionIn(installTo)).toBe('2.0.0');
    expect(await versionIn(currentOf(at))).toBe('2.0.0');
  });

  it.each<[string, (at: Machine) => Promise<string> | string]>([
    ['/', () => '/'],
    ['the root itself', ({ root }) => root],
    ['a folder below no root', () => '/usr/local/isthmus-test'],
    ['a folder beside the root', ({ root }) => `${root}-beside`],
    ['a path with ..', ({ root }) => `${root}/a/../../b`],
    ['a path with a slash at its end', ({ root }) => `${root}/a/`],
    ['a relative path', () => 'srv/web'],
    ['a path with a NUL byte', ({ root }) => `${root}/a\0b`],
    ['a link', async ({ root }) => linked(await tempDir(), join(root, 'link'))],
    ['a folder below a link', async ({ root }) => join(await linked(await tempDir(), join(root, 'link')), 'web')],
    ['a file', async ({ root }) => written(join(root, 'file'))],
  ])('is never %s', async (_, pathOf) => {
    const at = await machine();
    await at.deploy(1);
    const installTo = await pathOf(at);
    const before = await readdir(at.root);
    const run = await at.begin(2);
    await run('stage');
    await expect(run('activate', { installTo })).rejects.toMatchObject({ code: 'INSTALL_FORBIDDEN' });
    expect(await readdir(at.root)).toEqual(before);
    expect(await versionIn(currentOf(at))).toBe('1.0.0');
  });

  it.each(['', 'applications', 'applications/shop/prod/web/releases/mine', 'new'])(
    'is never the data folder, nor in it: %j',
    async (name) => {
      const root = await tempDir();
      const dataDir = join(root, 'isthmus');
      await mkdir(dataDir);
      const at = await machine({ root, dataDir });
      const run = await at.begin(1);
      await run('stage');
      const installTo = join(dataDir, name).replace(/\/$/, '');
      await expect(run('activate', { installTo })).rejects.toMatchObject({ code: 'INSTALL_FORBIDDEN' });
    },
  );

  it('leaves a folder alone that has files and no marker, or the marker of another installation', async () => {
    const at = await machine();
    const installTo = join(at.root, 'web');
    await mkdir(installTo);
    await writeFile(join(installTo, 'precious'), 'x');
    const denied = { code: 'INSTALL_IN_USE', field: 'installTo' };
    const run = await at.begin(1, { installTo });
    await run('stage');
    await expect(run('activate')).rejects.toMatchObject(denied);
    const other = { ...NOWHERE_ELSE.tentacle, ...installation, environment: 'test' };
    await writeFile(join(installTo, '.isthmus-installation'), `${JSON.stringify(other)}\n`);
    await expect(run('activate')).rejects.toMatchObject(denied);
    expect(await readFile(join(installTo, 'precious'), 'utf8')).toBe('x');
    expect(await versionIn(currentOf(at))).toBeUndefined();
  });

  it.each(['web', 'web/below', ''])('never takes the folder of another installation: %j', async (name) => {
    const at = await machine();
    const taken = join(at.root, 'apps', 'web');
    await at.deploy(1, { installTo: taken });
    const installTo = join(at.root, 'apps', name).replace(/\/$/, '');
    const run = await at.begin(2, { installTo, installation: { ...installation, environment: 'test' } });
    await run('stage');
    await expect(run('activate')).rejects.toMatchObject({ code: 'INSTALL_IN_USE' });
    expect(await versionIn(taken)).toBe('1.0.0');
    // Once the step installs elsewhere, the folder stays as it is, for whoever empties it.
    await at.deploy(3);
    expect(await versionIn(taken)).toBe('1.0.0');
  });

  it('is what it was when the step fails, and so is the current release', async () => {
    const at = await machine();
    const installTo = join(at.root, 'web');
    const first = await at.begin(1, { installTo });
    for (const action of ['stage', 'activate'] as const) await first(action);
    await first('settle', { revert: true });
    expect(await readdir(installTo)).toEqual(['.isthmus-installation']);
    expect(await versionIn(currentOf(at))).toBeUndefined();
    await at.deploy(1, { installTo });
    for (let again = 0; again < 2; again += 1) {
      const run = await at.begin(2, { installTo });
      for (const action of ['stage', 'activate'] as const) await run(action);
      expect(await versionIn(installTo)).toBe('2.0.0');
      for (let repeated = 0; repeated < 2; repeated += 1) await run('settle', { revert: true });
      expect([await versionIn(installTo), await versionIn(currentOf(at))]).toEqual(['1.0.0', '1.0.0']);
    }
    // A step that never came to its activation changes nothing.
    const staged = await at.begin(3, { installTo });
    await staged('stage');
    await staged('settle', { revert: true });
    expect([await versionIn(installTo), await versionIn(currentOf(at))]).toEqual(['1.0.0', '1.0.0']);
  });

  it('is put back when the order is withdrawn while it is copied, and nothing is switched', async () => {
    const at = await machine();
    const installTo = join(at.root, 'web');
    await at.deploy(1, { installTo });
    const many = Array.from({ length: 600 }, (_, i) => ({ name: `d${i % 20}/f${i}`, content: 'x' }));
    const withdrawal = new AbortController();
    const run = await at.begin(2, { installTo }, many, withdrawal.signal);
    await run('stage');
    const activating = run('activate');
    await waitFor(async () => (await readdir(installTo)).includes('d0'), { what: 'the first files' });
    withdrawal.abort(new IsthmusError('CANCELLED', 'withdrawn'));
    await expect(activating).rejects.toMatchObject({
      code: 'CANCELLED',
      message: expect.stringMatching(/^\/.*\/web: withdrawn; 1\.0\.0-.* is installed again$/) as string,
    });
    expect((await readdir(installTo)).sort()).toEqual(['.isthmus-installation', 'version']);
    expect([await versionIn(installTo), await versionIn(currentOf(at))]).toEqual(['1.0.0', '1.0.0']);
    await run('settle', { revert: true });
    expect([await versionIn(installTo), await versionIn(currentOf(at))]).toEqual(['1.0.0', '1.0.0']);
  });

  it.skipIf(lacks('linux', 'root'))('is put back when the disk is full while it is copied', async () => {
    const at = await machine({ root: await smallDisk(2) });
    const installTo = join(at.root, 'web');
    await at.deploy(1, { installTo });
    const run = await at.begin(2, { installTo }, [{ name: 'zeros', content: Buffer.alloc(8_000_000) }]);
    await run('stage');
    await expect(run('activate')).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringContaining('1.0.0') as string,
    });
    expect([await versionIn(installTo), await versionIn(currentOf(at))]).toEqual(['1.0.0', '1.0.0']);
  });
});
