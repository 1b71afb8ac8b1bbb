// A disk that fills up while a version is brought to a host: nothing has changed afterwards, and nothing is left of it.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { install } from '../../host/versions/install.ts';
import { readJournal } from '../../host/versions/journal.ts';
import { showHost } from '../../host/versions/show.ts';
import { upgrade } from '../../host/versions/upgrade.ts';
import { lacks } from '../support/needs.ts';
import { smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { orderOf } from './support/orders.ts';
import { testHost, type TestHost } from './support/test-host.ts';

const MIB = 1024 ** 2;

describe.skipIf(lacks('linux', 'root'))('a full disk', () => {
  let host: TestHost;
  let folder: string;

  beforeEach(async () => {
    folder = await tempDir();
    host = testHost(await smallDisk(44), {}, folder);
    await install(host, host.tree('1.0.0'));
    host.services.begin('relay');
  });

  /** More than what is left free after it. */
  const large = (): Record<string, string> => ({ 'app/large': randomBytes(12 * MIB).toString('hex') });

  test('that a version does not fit on', async () => {
    const tree = host.tree('1.1.0', { files: large() });
    await expect(install(host, tree)).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringMatching(
        new RegExp(
          `^no room in ${host.layout.versions} for another version: 57 MiB are needed, and \\d+ MiB are free$`,
        ),
      ) as unknown,
      remedy: expect.stringContaining(host.layout.versions) as unknown,
    });
    expect(readJournal(host.layout)).toMatchObject({ phase: 'failed', code: 'DISK_FULL' });
    await expectUnchanged();
  });

  test('in the middle of an order', async () => {
    await orderOf(host, folder, { damage: (tarball) => writeFileSync(tarball, randomBytes(24 * MIB)) });
    await upgrade(host, () => undefined);
    expect(readJournal(host.layout)).toMatchObject({ phase: 'failed', code: 'DISK_FULL' });
    await expectUnchanged();
  });

  test('before it has begun', async () => {
    const filler = join(host.layout.root, 'filler');
    expect(() => writeFileSync(filler, randomBytes(64 * MIB))).toThrow('ENOSPC');
    await expect(install(host, host.tree('1.1.0'))).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: `no room in ${host.layout.versions} for another version: 0 MiB are free`,
    });
    rmSync(filler);
    await expectUnchanged();
  });

  test('while a version is watched: the host goes back, also where the upgrader was killed meanwhile', async () => {
    const filler = join(host.layout.root, 'filler');
    const fill = (): void => {
      for (const bytes of [64 * MIB, 4096, 1]) {
        const more = join(host.layout.root, `filler-${bytes}`);
        expect(() => writeFileSync(more, randomBytes(bytes === 64 * MIB ? bytes : 64 * 1024))).toThrow('ENOSPC');
      }
    };
    const tree = host.tree('1.1.0', { behaviour: 'never-connects' });
    const restart = host.services.restart.bind(host.services);
    host.services.restart = async (role) => {
      await restart(role);
      if (!existsSync(filler)) {
        writeFileSync(filler, '');
        fill();
      }
    };
    expect(await install(host, tree, { confirmWithinS: 1 })).toMatchObject({
      phase: 'went-back',
      code: 'UPGRADE_NOT_CONNECTED',
    });
    expect(readJournal(host.layout)).toMatchObject({ phase: 'went-back' });
    expect(host.services.running).toEqual({ relay: '1.0.0' });
    expect(await showHost(host.layout)).toMatchObject({ current: '1.0.0', knownGood: '1.0.0' });
  });

  async function expectUnchanged(): Promise<void> {
    expect(await showHost(host.layout)).toMatchObject({ versions: ['1.0.0'], current: '1.0.0', knownGood: '1.0.0' });
    expect(existsSync(host.layout.command)).toBe(true);
    expect(host.services.calls).toEqual([]);
    expect(readdirSync(host.layout.versions).filter((name) => name.startsWith('.'))).toEqual([]);
  }
});
