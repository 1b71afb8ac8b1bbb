// The process that changes the version of a host is killed at every change of a name and every flush, one after the
// other, as by a power cut. Each time the old version or the new one is current and whole, and the next run ends it.
import { cpSync, existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build } from 'rolldown';
import { beforeAll, describe, expect, test } from 'vitest';
import { readOrders, writeConfirmation } from '../../host/orders.ts';
import { install } from '../../host/versions/install.ts';
import { readJournal } from '../../host/versions/journal.ts';
import { showHost } from '../../host/versions/show.ts';
import { verifyFiles } from '../../host/disk/software.ts';
import { uninstall } from '../../host/versions/uninstall.ts';
import { upgrade } from '../../host/versions/upgrade.ts';
import { LOCK_FILES } from '../../lib/files/data-lock.ts';
import { buildKillAt, runKilledAt } from '../support/kill-at.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { orderOf } from './support/orders.ts';
import { makeDatabase } from './support/fake-services.ts';
import { testHost, type TestHost } from './support/test-host.ts';

const support = join(import.meta.dirname, 'support');
const cache = join(import.meta.dirname, '../../node_modules/.cache/tests/host');
/** In one file: it is started some two hundred times. */
const program = join(cache, 'change-process.js');

/** A change of the version of a host that has 1.0.0, and once 0.9.0. */
interface Scenario {
  readonly name: string;
  /** Further arguments of the process. */
  readonly words: (folder: string) => readonly string[];
  readonly prepare: (host: TestHost, folder: string) => Promise<unknown>;
  /** What is current once it has ended. */
  readonly ends: readonly string[];
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a version that works',
    words: (folder) => ['install', join(folder, 'tree-1.1.0')],
    prepare: async (host) => host.tree('1.1.0'),
    // Cut off before it is in its folder, an installation by hand is not gone on with.
    ends: ['1.0.0', '1.1.0'],
  },
  {
    name: 'a version through the mesh that works',
    words: () => ['upgrade'],
    prepare: async (host, folder) => {
      const { id, version } = await orderOf(host, folder);
      writeConfirmation(host.layout.dataDir('relay'), { id, version });
    },
    ends: ['1.1.0'],
  },
  {
    name: 'a version that migrates the database and does not start',
    words: () => ['upgrade'],
    prepare: async (host, folder) => {
      await orderOf(host, folder, { behaviour: 'crashes', schema: '0002-more' });
      makeDatabase(host.layout, '0001-start');
    },
    ends: ['1.0.0'],
  },
  {
    name: 'going back by hand',
    words: () => ['go-back'],
    prepare: async () => undefined,
    ends: ['0.9.0', '1.0.0'],
  },
];

describe.skipIf(lacks('linux', 'gcc'))('killed at every step of', () => {
  beforeAll(async () => {
    buildKillAt();
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'package.json'), '{ "name": "isthmus", "version": "0.0.0", "type": "module" }\n');
    await build({
      input: join(support, 'change-process.ts'),
      platform: 'node',
      output: { file: program, format: 'esm', codeSplitting: false },
      logLevel: 'silent',
    });
  });

  test.each(SCENARIOS)('$name', async ({ words, prepare, ends }) => {
    const folder = await tempDir();
    const model = testHost(folder);
    await install(model, model.tree('0.9.0'));
    await install(model, model.tree('1.0.0'));
    model.services.begin('server', 'relay');
    await prepare(model, folder);
    const seen = new Set<string>();
    await killAtEach(folder, words(folder), async (killed, what) => {
      seen.add(await afterKill(killed, ends, what));
    });
    expect([...seen].sort()).toEqual(ends);
  });

  test('an uninstallation, which has the lock until nothing else is left, and can be done again', async () => {
    const folder = await tempDir();
    const model = testHost(folder);
    await install(model, model.tree('1.0.0'));
    await killAtEach(folder, ['uninstall'], async (killed, what) => {
      const { versions } = testHost(killed).layout;
      const names = existsSync(versions) ? await readdir(versions) : [];
      const others = names.filter((name) => !LOCK_FILES.includes(name));
      if (others.length > 0) expect(names, what).toContain(LOCK_FILES[0]);
      await uninstall(testHost(killed).layout, { deletesData: false });
      expect(existsSync(versions), what).toBe(false);
    });
  });
});

/** Has `check` look at a copy of the host for each step of the process, which was killed right before it. */
async function killAtEach(
  folder: string,
  words: readonly string[],
  check: (killed: string, what: string) => Promise<void>,
): Promise<void> {
  const steps = (await run(await copyOf(folder, 0), words, 0)) ?? 0;
  expect(steps).toBeGreaterThan(5);
  const numbers = Array.from({ length: steps }, (_each, index) => index + 1);
  const work = async (): Promise<void> => {
    for (let at = numbers.pop(); at !== undefined; at = numbers.pop()) {
      const killed = await copyOf(folder, at);
      const what = `killed at step ${at} of ${steps}`;
      expect(await run(killed, words, at), what).toBeUndefined();
      await check(killed, what);
      await rm(killed, { recursive: true });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

/** A copy of the host in its folder. */
async function copyOf(folder: string, at: number): Promise<string> {
  const copy = join(folder, `killed-${at}`);
  cpSync(join(folder, 'host'), join(copy, 'host'), { recursive: true, verbatimSymlinks: true });
  return copy;
}

function run(folder: string, words: readonly string[], at: number): Promise<number | undefined> {
  return runKilledAt([program, folder, ...words], { below: join(folder, 'host'), at });
}

/** What holds right after the kill, and after the next run; answers the version that is current in the end. */
async function afterKill(folder: string, ends: readonly string[], what: string): Promise<string> {
  const host = testHost(folder);
  const { layout, services } = host;
  for (const link of [layout.current, layout.knownGood]) {
    await verifyFiles(join(layout.versions, readlinkSync(link)));
  }
  expect(existsSync(layout.command), what).toBe(true);

  await upgrade(host, () => undefined);
  const { current, previous, knownGood, versions } = await showHost(layout);
  expect(ends, what).toContain(current);
  expect(services.running, what).toEqual({ server: current, relay: current });
  expect(knownGood, what).toBe(current);
  expect(services.units, what).toEqual({ current, knownGood });
  expect(versions, what).toContain(previous);
  expect(['confirmed', 'went-back', 'failed'], what).toContain(readJournal(layout)?.phase);
  expect(readOrders(layout), what).toEqual([]);
  const names = (await readdir(layout.versions)).filter((name) => name.startsWith('.'));
  expect(names, what).toEqual([]);
  const dataDir = layout.dataDir('server');
  if (existsSync(dataDir)) {
    const read = (name: string): string => readFileSync(join(dataDir, name), 'utf8');
    const files = ['isthmus.db', 'isthmus.db.migrated', 'isthmus.db.migrated-wal'];
    expect(files.map(read), what).toEqual(['0001-start', '0002-more', 'log of 0002-more']);
  }
  return current ?? '';
}
