// The upgrader: what it installs of what nodes order, and what becomes of an order that it must not carry out.
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { create } from 'tar';
import type { JoinRole } from '../../contract/join-tokens.ts';
import { signSums } from '../../certs/release-keys.ts';
import { readOrders, upgradeFolder, writeConfirmation, writeOrder, type UpgradeOrder } from '../../host/orders.ts';
import { install } from '../../host/versions/install.ts';
import { readJournal, upgradeOf } from '../../host/versions/journal.ts';
import { showHost } from '../../host/versions/show.ts';
import { upgrade } from '../../host/versions/upgrade.ts';
import { newId } from '../../lib/ids.ts';
import { tempDir } from '../support/temp.ts';
import { orderOf, RELEASE_KEY, type OrderOptions } from './support/orders.ts';
import { makeTree } from './support/software.ts';
import { testHost, type TestHost } from './support/test-host.ts';

const OTHER_ARCHITECTURE = process.arch === 'x64' ? 'arm64' : 'x64';
let host: TestHost;
let folder: string;

beforeEach(async () => {
  folder = await tempDir();
  host = testHost(folder, { whenStopped: 'leave' });
  await install(host, host.tree('1.0.0'));
  host.services.begin('relay');
});

/** Has the relay order a version, as it would after having fetched it. */
const order = (options: OrderOptions = {}): Promise<UpgradeOrder> => orderOf(host, folder, options);

async function run(): Promise<void> {
  await upgrade(host, () => undefined);
  expect(host.problems).toEqual([]);
}

const current = async (): Promise<string | null> => (await showHost(host.layout)).current;

describe('an order', () => {
  test('is carried out once its node has confirmed it, and gone then', async () => {
    const { id } = await order();
    writeConfirmation(host.layout.dataDir('relay'), { id, version: '1.1.0' });
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'confirmed', id, why: 'upgrade', role: 'relay' });
    expect(await showHost(host.layout)).toMatchObject({ current: '1.1.0', knownGood: '1.1.0', previous: '1.0.0' });
    expect(host.services.running).toEqual({ relay: '1.1.0' });
    expect(readOrders(host.layout)).toEqual([]);
    expect(readdirSync(upgradeFolder(host.layout.dataDir('relay')))).toEqual(['confirmed.json']);
  });

  test('that nobody confirms is taken back, though its services run', async () => {
    const { id } = await order({ confirmWithinS: 1 });
    writeConfirmation(host.layout.dataDir('relay'), { id, version: '1.0.0' });
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'went-back', id, code: 'UPGRADE_NOT_CONFIRMED' });
    expect(await showHost(host.layout)).toMatchObject({ current: '1.0.0', knownGood: '1.0.0', previous: null });
    expect(host.services.running).toEqual({ relay: '1.0.0' });
  });

  test('that another one’s confirmation names is not confirmed', async () => {
    await order({ confirmWithinS: 1 });
    writeConfirmation(host.layout.dataDir('relay'), { id: newId(), version: '1.1.0' });
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'went-back', code: 'UPGRADE_NOT_CONFIRMED' });
  });

  test('that is stopped while it waits goes on with the next run', async () => {
    const stop = new AbortController();
    const { id } = await order();
    const stopped = upgrade({ ...host, signal: stop.signal }, () => undefined);
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(readJournal(host.layout)).toMatchObject({ phase: 'awaiting-confirmation', id });
    expect((await showHost(host.layout)).knownGood).toBe('1.0.0');
    writeConfirmation(host.layout.dataDir('relay'), { id, version: '1.1.0' });
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'confirmed', id });
  });

  test('that is stopped again and again is taken back', async () => {
    const stopped = { ...host, signal: AbortSignal.abort() };
    await order();
    const once = () => upgrade(stopped, () => undefined);
    for (let count = 0; count < 3; count += 1) await expect(once()).rejects.toMatchObject({ code: 'CANCELLED' });
    await once();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'went-back', code: 'UPGRADE_NOT_CONFIRMED' });
    expect(await current()).toBe('1.0.0');
  });
});

describe('is not installed, and the journal says why:', () => {
  const other = generateKeyPairSync('ed25519').privateKey;
  const packOther = (file: string): void => create({ gzip: true, sync: true, file, cwd: folder }, ['tree-1.0.0']);
  /** The same files in other bytes: nothing but the digest tells. */
  const packAgain = (file: string): void =>
    create({ gzip: { level: 1 }, sync: true, file, cwd: join(folder, 'packing') }, [basename(file, '.tar.gz')]);

  test.each<[what: string, code: string, options: OrderOptions]>([
    ['what a key signed that is not trusted', 'SOFTWARE_SIGNATURE_WRONG', { signer: other }],
    ['what changed after it was signed', 'SOFTWARE_DAMAGED', { damage: packAgain, confirmWithinS: 1 }],
    ['what was signed and cannot be unpacked', 'SOFTWARE_DAMAGED', { spoil: (file) => writeFileSync(file, 'none') }],
    ['what unpacks to no version', 'SOFTWARE_DAMAGED', { spoil: (file) => packOther(file) }],
    ['a version that is not higher', 'UPGRADE_DOWNGRADE', { version: '1.0.0' }],
    ['a lower version', 'UPGRADE_DOWNGRADE', { version: '0.9.0' }],
    ['a lower version in the tarball of a higher one', 'SOFTWARE_DAMAGED', { packed: '0.9.0' }],
    ['one for another architecture', 'SOFTWARE_ARCHITECTURE', { architecture: OTHER_ARCHITECTURE }],
  ])('%s', async (_what, code, options) => {
    const { id } = await order(options);
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'failed', id, code });
    await expectUnchanged();
  });

  test('anything, where no key is trusted', async () => {
    await order();
    rmSync(host.layout.releaseKeys, { recursive: true });
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'failed', code: 'SOFTWARE_KEYS_MISSING' });
    await expectUnchanged();
  });

  test('what is not signed for this name', async () => {
    const made = await order();
    const sums = made.sums.replace('1.1.0', '1.2.0');
    const signature = signSums(sums, RELEASE_KEY.privateKey).toString('base64');
    await writeOrder(host.layout.dataDir('relay'), { ...made, sums, signature });
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'failed', code: 'SOFTWARE_NOT_LISTED' });
    await expectUnchanged();
  });

  test('anything, where a Debian package has the software', async () => {
    makeTree(host.layout.packaged, '1.0.0');
    await order();
    await run();
    expect(readJournal(host.layout)).toMatchObject({ phase: 'failed', code: 'UPGRADE_UNSUPPORTED' });
    await expectUnchanged();
    await expect(install(host, host.tree('1.1.0'))).rejects.toMatchObject({ code: 'UPGRADE_UNSUPPORTED' });
  });

  async function expectUnchanged(): Promise<void> {
    expect(await showHost(host.layout)).toMatchObject({ versions: ['1.0.0'], current: '1.0.0', knownGood: '1.0.0' });
    expect(host.services.calls).toEqual([]);
    expect(readOrders(host.layout)).toEqual([]);
    expect(existsSync(join(host.layout.versions, '.incoming-tarball'))).toBe(false);
  }
});

describe('two nodes of a host that order at the same time', () => {
  const endOf = (role: JoinRole, id: string) => upgradeOf(host.layout, role, id);
  const confirm = (role: JoinRole, { id, version }: UpgradeOrder) =>
    writeConfirmation(host.layout.dataDir(role), { id, version });

  test('have their orders carried out one after the other, and each learns its own end', async () => {
    const ofRelay = await order({ confirmWithinS: 1 });
    const ofMirror = await order({ role: 'mirror', version: '1.2.0' });
    const again = await order({ role: 'tentacle', version: '1.2.0' });
    for (const [role, made] of [
      ['mirror', ofMirror],
      ['tentacle', again],
    ] as const)
      confirm(role, made);
    await run();
    expect(endOf('relay', ofRelay.id)).toMatchObject({ phase: 'went-back', code: 'UPGRADE_NOT_CONFIRMED' });
    expect(endOf('mirror', ofMirror.id)).toMatchObject({ phase: 'confirmed', to: '1.2.0' });
    expect(endOf('tentacle', again.id)).toMatchObject({ phase: 'failed', code: 'UPGRADE_DOWNGRADE', to: '1.2.0' });
    expect(await current()).toBe('1.2.0');
    await install(host, host.tree('1.3.0'));
    expect(endOf('relay', ofRelay.id)).toMatchObject({ phase: 'went-back' });
    expect(endOf('mirror', ofMirror.id)).toMatchObject({ phase: 'confirmed' });
    expect(endOf('mirror', ofRelay.id)).toBeUndefined();
  });

  test('each have their turn, however often one of them orders', async () => {
    const { tarball } = await order({ confirmWithinS: 1 });
    confirm('mirror', await order({ role: 'mirror' }));
    const paths = ['order.json', tarball].map((name) => join(upgradeFolder(host.layout.dataDir('relay')), name));
    const [json = '', packed = ''] = paths.map((path) => readFileSync(path, 'latin1'));
    const roles: (JoinRole | undefined)[] = [];
    await upgrade(host, ({ role }) => {
      roles.push(role);
      if (role !== 'relay') return;
      const again = json.replace(/"id":"[^"]*"/, `"id":"${newId()}"`);
      for (const [index, text] of [again, packed].entries()) writeFileSync(paths[index]!, text, 'latin1');
    });
    expect(roles.slice(0, 2)).toEqual(['relay', 'mirror']);
  });
});

test('a folder in the place of a file stops no other order, and no change by hand', async () => {
  const bad = await order();
  const good = await order({ role: 'mirror' });
  writeConfirmation(host.layout.dataDir('mirror'), { id: good.id, version: '1.1.0' });
  const tarball = join(upgradeFolder(host.layout.dataDir('relay')), bad.tarball);
  rmSync(tarball);
  mkdirSync(tarball);
  const ended: string[] = [];
  await upgrade(host, ({ role, phase }) => ended.push(`${role} ${phase}`));
  expect(ended).toEqual(['relay failed', 'mirror confirmed']);
  const message: unknown = expect.stringContaining(tarball);
  expect(host.problems).toMatchObject([{ code: 'PERMISSIONS_UNSAFE', message }]);
  expect(readOrders(host.layout)).toEqual([]);
  // As if the run had been killed before it took the order of the mirror away.
  mkdirSync(join(upgradeFolder(host.layout.dataDir('mirror')), good.tarball));
  await writeOrder(host.layout.dataDir('mirror'), good);
  await install(host, host.tree('1.2.0'));
  expect(await current()).toBe('1.2.0');
  expect(host.problems).toHaveLength(2);
  expect(readOrders(host.layout)).toEqual([]);
});

test('an order that was carried out by a run that was killed is not carried out again', async () => {
  const made = await order();
  writeConfirmation(host.layout.dataDir('relay'), { id: made.id, version: '1.1.0' });
  await run();
  await order({ version: '1.1.0' }).then((again) =>
    writeOrder(host.layout.dataDir('relay'), { ...again, id: made.id }),
  );
  await run();
  expect(readJournal(host.layout)).toMatchObject({ phase: 'confirmed', id: made.id });
  expect(readOrders(host.layout)).toEqual([]);
});
