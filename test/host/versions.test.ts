// The change of a host's version: what works stays, what does not makes the host go back, and says why.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { Systemd } from '../../host/services/systemd.ts';
import { progressLines } from '../../cli/render/version-change.ts';
import type { Progress } from '../../host/versions/change.ts';
import { goBack, install } from '../../host/versions/install.ts';
import { readJournal } from '../../host/versions/journal.ts';
import { withVersionsLocked } from '../../host/disk/lock.ts';
import { showHost } from '../../host/versions/show.ts';
import { verifyFiles } from '../../host/disk/software.ts';
import { upgrade } from '../../host/versions/upgrade.ts';
import { uninstall } from '../../host/versions/uninstall.ts';
import { writeDurably } from '../../lib/files/durable.ts';
import { tempDir } from '../support/temp.ts';
import { makeDatabase } from './support/fake-services.ts';
import { listFiles } from './support/software.ts';
import { testHost, type TestHost } from './support/test-host.ts';

let host: TestHost;

beforeEach(async () => {
  host = testHost(await tempDir());
  await install(host, host.tree('1.0.0'));
});

/** Which version each link leads to. */
async function links(): Promise<unknown> {
  const { current, previous, knownGood } = await showHost(host.layout);
  return { current, previous, knownGood };
}

/** The journal's last word. */
function end(): string {
  const change = readJournal(host.layout);
  return change === undefined ? 'none' : 'code' in change ? `${change.phase} ${change.code}` : change.phase;
}

describe('a version that works', () => {
  test('is current on a host without one, by relative links, with its command on the path', async () => {
    expect(await links()).toEqual({ current: '1.0.0', previous: null, knownGood: '1.0.0' });
    expect(readlinkSync(host.layout.current)).toBe('1.0.0');
    expect(readlinkSync(host.layout.command)).toBe('../../../opt/isthmus/current/bin/isthmus');
    expect(existsSync(host.layout.command)).toBe(true);
    await verifyFiles(join(host.layout.versions, '1.0.0'));
  });

  test('stays, and every service runs from it, the server first', async () => {
    host.services.begin('tentacle', 'server');
    await install(host, host.tree('1.1.0'));
    expect(await links()).toEqual({ current: '1.1.0', previous: '1.0.0', knownGood: '1.1.0' });
    expect(host.services.running).toEqual({ tentacle: '1.1.0', server: '1.1.0' });
    expect(host.services.calls).toEqual(['restart server', 'restart tentacle']);
    expect(host.services.units).toEqual({ current: '1.1.0', knownGood: '1.1.0' });
    expect(end()).toBe('confirmed');
  });

  test('leaves the two that may be needed, and removes the others', async () => {
    await install(host, host.tree('1.1.0'));
    await install(host, host.tree('1.2.0'));
    expect((await showHost(host.layout)).versions).toEqual(['1.1.0', '1.2.0']);
  });

  test('may be lower than the one before', async () => {
    await install(host, host.tree('0.9.0'));
    expect(await links()).toEqual({ current: '0.9.0', previous: '1.0.0', knownGood: '0.9.0' });
  });

  test('that is installed again changes nothing', async () => {
    host.services.begin('relay');
    const again = await install(host, join(host.layout.root, '../tree-1.0.0'));
    expect(again).toEqual({ phase: 'unchanged', to: '1.0.0' });
    expect(host.services.calls).toEqual([]);
  });

  test('is one that services which were not connected before start with', async () => {
    await install(host, host.tree('1.1.0', { behaviour: 'never-connects' }));
    host.services.begin('relay');
    await install(host, host.tree('1.2.0', { behaviour: 'never-connects' }));
    expect(await links()).toMatchObject({ current: '1.2.0' });
  });
});

describe('a version that does not work', () => {
  beforeEach(() => host.services.begin('relay', 'mirror'));

  test.each([
    ['crashes', 'UPGRADE_START_FAILED', 'the relay of 1.1.0 does not start: the setting is wrong (CONFIG_INVALID)'],
    ['rejected', 'UPGRADE_START_FAILED', 'Unit isthmus-relay.service has a bad unit file setting.'],
  ] as const)('since it %s: the old one runs again', async (behaviour, code, message) => {
    const ended = await install(host, host.tree('1.1.0', { behaviour }));
    expect(ended).toMatchObject({ phase: 'went-back', code });
    expect('message' in ended && ended.message).toContain(message);
    expect('message' in ended && ended.message).toMatch(/; 1\.0\.0 runs again$/);
    expect(await links()).toEqual({ current: '1.0.0', previous: null, knownGood: '1.0.0' });
    expect(host.services.running).toEqual({ relay: '1.0.0', mirror: '1.0.0' });
    expect(end()).toBe(`went-back ${code}`);
  });

  test.each([
    ['never-connects', 'UPGRADE_NOT_CONNECTED', /is not connected: no parent answers \(UNREACHABLE\); 1\.0\.0 runs/],
    ['never-starts', 'UPGRADE_START_FAILED', /the relay of 1\.1\.0 has not started; 1\.0\.0 runs again/],
  ] as const)('since it %s: the old one runs again, once the time is over', async (behaviour, code, message) => {
    const said: string[] = [];
    const telling = { ...host, onProgress: (step: Progress) => said.push(...progressLines(host.layout, step)) };
    const ended = await install(telling, host.tree('1.1.0', { behaviour }), { confirmWithinS: 0.05 });
    expect(ended).toMatchObject({ phase: 'went-back', code, message: expect.stringMatching(message) as unknown });
    expect(said.join('\n')).toMatch(
      new RegExp(
        `^bringing .*\nswitching from 1.0.0 to 1.1.0\nrestarting the relay, the mirror\nwaiting for the relay, .*, 0.05 s` +
          `[^]*\n  the relay of 1.1.0 .*[^]*\ngoing back to 1.0.0: the relay of .*\\(${code}\\)`,
      ),
    );
    expect(host.services.running).toEqual({ relay: '1.0.0', mirror: '1.0.0' });
  });

  test('is left by every service, also one that came meanwhile and whatever becomes of the others', async () => {
    const restart = host.services.restart.bind(host.services);
    let count = 0;
    host.services.restart = async (role) => {
      count += 1;
      if (count === 2) host.services.begin('tentacle');
      // The first that goes back.
      if (count === 3) throw new IsthmusError('UPGRADE_START_FAILED', 'the unit cannot be started');
      await restart(role);
    };
    const ended = await install(host, host.tree('1.1.0', { behaviour: 'crashes' }));
    const message: unknown = expect.stringMatching(/; back at 1\.0\.0, the service of the .* cannot be started/);
    expect(ended).toMatchObject({ phase: 'went-back', message });
    const { running } = host.services;
    expect(Object.keys(running)).toHaveLength(3);
    expect(Object.values(running).filter((version) => version === '1.1.0')).toHaveLength(1);
    expect(running.tentacle).toBe('1.0.0');
  });

  /** The files of the server, by name. */
  const filesOfServer = (): Record<string, string> => {
    const dataDir = host.layout.dataDir('server');
    return Object.fromEntries(readdirSync(dataDir).map((name) => [name, readFileSync(join(dataDir, name), 'utf8')]));
  };
  const write = (name: string, text: string): void => writeFileSync(join(host.layout.dataDir('server'), name), text);
  const crashing = (schema: string): string => host.tree('1.1.0', { behaviour: 'crashes', schema });

  test.each([
    ['', {}],
    [', though an earlier one lies there', { 'isthmus.db.before-0002-more': 'earlier' }],
    [', though it has gone back before', { 'isthmus.db.migrated': 'earlier', 'isthmus.db.migrated-wal': 'earlier' }],
  ])('and that has migrated the database: the server has its copy from before again%s', async (_what, lie) => {
    makeDatabase(host.layout, '0001-start');
    for (const [name, text] of Object.entries(lie)) write(name, text);
    host.services.begin('server');
    const ended = await install(host, crashing('0002-more'));
    expect('message' in ended && ended.message).toMatch(/; 1\.0\.0 runs again, with the database as it was before/);
    expect(filesOfServer()).toEqual({
      'isthmus.db': '0001-start',
      'isthmus.db.migrated': '0002-more',
      'isthmus.db.migrated-wal': 'log of 0002-more',
    });
    expect(host.services.calls.slice(-4)).toEqual([
      ...['stop server', 'restart server', 'restart relay', 'restart mirror'],
    ]);
  });

  test.each(['0001-start', '0002-more', '0003-most'])(
    'and that has migrated nothing: a copy from before %s stays where it is',
    async (migration) => {
      makeDatabase(host.layout, '0001-start');
      write(`isthmus.db.before-${migration}`, 'of an operator');
      host.services.begin('server');
      expect(await install(host, crashing('0001-start'))).toMatchObject({ phase: 'went-back' });
      expect(filesOfServer()).toEqual({
        'isthmus.db': '0001-start',
        [`isthmus.db.before-${migration}`]: 'of an operator',
      });
      expect(host.services.calls).not.toContain('stop server');
    },
  );

  test('is removed, and can be installed again', async () => {
    const tree = host.tree('1.1.0', { behaviour: 'crashes' });
    await install(host, tree);
    expect((await showHost(host.layout)).versions).toEqual(['1.0.0']);
    expect(await install(host, tree)).toMatchObject({ phase: 'went-back' });
  });

  test('is left at once when it is stopped at the terminal', async () => {
    const stop = new AbortController();
    const tree = host.tree('1.1.0', { behaviour: 'never-connects' });
    const stopped = install({ ...host, signal: stop.signal }, tree);
    stop.abort();
    expect(await stopped).toMatchObject({ phase: 'went-back', code: 'CANCELLED' });
    expect(host.services.running).toEqual({ relay: '1.0.0', mirror: '1.0.0' });
  });
});

describe('what leaves everything as it was', () => {
  beforeEach(() => host.services.begin('relay'));

  test.each([
    ['a file that changed', 'SOFTWARE_DAMAGED', (tree: string) => writeFileSync(join(tree, 'bin/isthmus'), 'other')],
    ['a file that is missing', 'SOFTWARE_DAMAGED', (tree: string) => rmSync(join(tree, 'behaviour'))],
    ['a list that is missing', 'SOFTWARE_DAMAGED', (tree: string) => rmSync(join(tree, 'SHA256SUMS'))],
    ['a list that leaves the folder', 'SOFTWARE_DAMAGED', (tree: string) => list(tree, '../../etc/passwd')],
    ['a list with an absolute path', 'SOFTWARE_DAMAGED', (tree: string) => list(tree, '/etc/passwd')],
    ['another version in its description', 'SOFTWARE_DAMAGED', (tree: string) => describeAs(tree, '../1.1.0')],
  ])('%s', async (_what, code, damage) => {
    const tree = host.tree('1.1.0');
    damage(tree);
    await expect(install(host, tree)).rejects.toMatchObject({ code });
    await expectUnchanged();
  });

  test('a tree for another architecture', async () => {
    const tree = host.tree('1.1.0', { architecture: process.arch === 'x64' ? 'arm64' : 'x64' });
    await expect(install(host, tree)).rejects.toMatchObject({ code: 'SOFTWARE_ARCHITECTURE' });
    await expectUnchanged();
  });

  test.each([
    ['the current', '1.1.0', '1.1.0'],
    ['the previous', '1.0.0', '1.0.0'],
  ])('a file of %s version that has changed, until its folder is deleted', async (_what, version, current) => {
    const tree = host.tree('1.1.0');
    await install(host, tree);
    const folder = join(host.layout.versions, version);
    writeFileSync(join(folder, 'bin/isthmus'), 'other');
    const again = () => install(host, join(host.layout.root, `../tree-${version}`));
    await expect(again()).rejects.toMatchObject({
      code: 'SOFTWARE_DAMAGED',
      message: `${join(folder, 'bin/isthmus')} is not as it was built: it was changed after it was installed`,
      remedy: expect.stringContaining(`rm -r ${folder}`) as unknown,
    });
    expect((await showHost(host.layout)).current).toBe('1.1.0');
    rmSync(folder, { recursive: true });
    await again();
    await verifyFiles(folder);
    expect((await showHost(host.layout)).current).toBe(current);
  });

  test('another build of a version that is there', async () => {
    const tree = host.tree('1.0.0', { files: { 'app/other': 'other' } });
    await expect(install(host, tree)).rejects.toMatchObject({ code: 'SOFTWARE_EXISTS' });
    await expectUnchanged();
  });

  test('a version that does not know the database of the server', async () => {
    const dataDir = host.layout.dataDir('server');
    mkdirSync(dataDir, { recursive: true });
    const state = { version: '1.0.0', pid: 1, startedAt: 0, state: 'connected', since: 0, schema: '0002-more' };
    writeDurably(join(dataDir, 'status.json'), JSON.stringify({ component: 'server', ...state }));
    await expect(install(host, host.tree('0.9.0'))).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
    await expectUnchanged();
  });

  test('a command of that name that is not ours', async () => {
    rmSync(host.layout.command);
    symlinkSync('/usr/bin/true', host.layout.command);
    await expect(install(host, host.tree('1.1.0'))).rejects.toMatchObject({ code: 'FILE_UNUSABLE' });
    expect(readlinkSync(host.layout.command)).toBe('/usr/bin/true');
    await expectUnchanged();
  });

  test('another process that changes the version', async () => {
    await withVersionsLocked(host.layout, {}, async () => {
      await expect(install(host, host.tree('1.1.0'))).rejects.toMatchObject({ code: 'UPGRADE_BUSY' });
      await expect(goBack(host)).rejects.toMatchObject({ code: 'UPGRADE_BUSY' });
    });
    await expectUnchanged();
  });

  test('a journal that is damaged', async () => {
    const journal = readFileSync(host.layout.journal);
    writeFileSync(host.layout.journal, journal.subarray(0, 40));
    for (const change of [() => install(host, host.tree('1.1.0')), () => goBack(host), () => upgrade(host, () => {})]) {
      await expect(change()).rejects.toMatchObject({ code: 'UPGRADE_JOURNAL_UNREADABLE' });
    }
    await expectUnchanged();
    rmSync(host.layout.journal);
    expect(await install(host, join(host.layout.root, '../tree-1.1.0'))).toMatchObject({ phase: 'confirmed' });
  });

  test('going back where there was no version before', async () => {
    await expect(goBack(host)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expectUnchanged();
  });

  async function expectUnchanged(): Promise<void> {
    expect(await links()).toEqual({ current: '1.0.0', previous: null, knownGood: '1.0.0' });
    expect(host.services.calls).toEqual([]);
    const names = (await readdir(host.layout.versions)).filter((name) => !name.startsWith('data.'));
    expect(names.sort()).toEqual(['1.0.0', 'current', 'known-good', 'upgrade.json']);
  }

  /** Adds a line to the list of a tree. */
  function list(tree: string, name: string): void {
    writeFileSync(join(tree, 'SHA256SUMS'), `${'0'.repeat(64)}  ${name}\n`, { flag: 'a' });
  }

  function describeAs(tree: string, version: string): void {
    const path = join(tree, 'version.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), version }));
    listFiles(tree);
  }
});

describe('uninstalling', () => {
  test('stops the upgrader before anything is removed, and nobody changes the version until the end', async () => {
    await install(host, host.tree('1.1.0'));
    const seen: string[] = [];
    const systemd = new Systemd(async (_program, verb = '', ...words) => {
      if (verb === 'show') return 'ActiveState=active\n';
      if (verb !== 'stop') return '';
      const isBusy = await install(host, join(host.layout.root, '../tree-1.0.0')).then(
        () => false,
        (thrown: unknown) => IsthmusError.from(thrown).code === 'UPGRADE_BUSY',
      );
      const isThere = existsSync(host.layout.current) && existsSync(host.layout.command);
      if (!isBusy || !isThere) seen.push('too early');
      seen.push([verb, ...words].join(' '));
      return '';
    });
    await uninstall(host.layout, { deletesData: false }, systemd);
    expect(seen.slice(0, 3)).toEqual([
      ...['stop isthmus-upgrade.path', 'stop isthmus-upgrade.service', 'stop isthmus-server.service'],
    ]);
    expect(seen).not.toContain('too early');
    expect(existsSync(host.layout.versions)).toBe(false);
  });

  test('leaves what another process is changing', async () => {
    await withVersionsLocked(host.layout, {}, async () => {
      await expect(uninstall(host.layout, { deletesData: true })).rejects.toMatchObject({ code: 'UPGRADE_BUSY' });
    });
    expect(await links()).toMatchObject({ current: '1.0.0' });
  });
});

describe('going back by hand', () => {
  test('makes the version before current, and going back again the later one', async () => {
    host.services.begin('relay');
    await install(host, host.tree('1.1.0'));
    await goBack(host);
    expect(await links()).toEqual({ current: '1.0.0', previous: '1.1.0', knownGood: '1.0.0' });
    expect(host.services.running).toEqual({ relay: '1.0.0' });
    await goBack(host);
    expect(await links()).toEqual({ current: '1.1.0', previous: '1.0.0', knownGood: '1.1.0' });
  });

  test('to a version that was changed meanwhile is denied', async () => {
    await install(host, host.tree('1.1.0'));
    writeFileSync(join(host.layout.versions, '1.0.0/bin/isthmus'), 'other');
    const remedy: unknown = expect.stringContaining(`rm -r ${join(host.layout.versions, '1.0.0')}`);
    await expect(goBack(host)).rejects.toMatchObject({ code: 'SOFTWARE_DAMAGED', remedy });
    expect(await links()).toMatchObject({ current: '1.1.0' });
  });
});
