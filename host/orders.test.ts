// Orders of upgrades: what a node writes is what root reads, and root reads nothing else.
import {
  closeSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { tempDir } from '../test/support/temp.ts';
import { hostLayout, type HostLayout } from './layout.ts';
import {
  openTarball,
  readConfirmation,
  readOrders,
  removeOrder,
  upgradeFolder,
  writeConfirmation,
  writeOrder,
  type UpgradeOrder,
} from './orders.ts';

const ORDER: UpgradeOrder = {
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  role: 'relay',
  version: '1.2.3',
  tarball: 'isthmus-1.2.3-linux-x64.tar.gz',
  sums: `${'a'.repeat(64)}  isthmus-1.2.3-linux-x64.tar.gz\n`,
  signature: Buffer.alloc(64, 7).toString('base64'),
  confirmWithinS: 120,
};

let layout: HostLayout;
let folder: string;

beforeEach(async () => {
  layout = hostLayout(await tempDir());
  mkdirSync(layout.dataDir('relay'), { recursive: true });
  folder = upgradeFolder(layout.dataDir('relay'));
  writeFileSync(join(folder, ORDER.tarball), 'tarball');
  await writeOrder(layout.dataDir('relay'), ORDER);
});

/** The code and message of what was found for the relay instead of an order. */
function failure(): string {
  const [found] = readOrders(layout);
  return found !== undefined && 'error' in found ? `${found.error.code} ${found.error.message}` : 'an order, or none';
}

test('root reads what a node ordered, and opens its tarball', () => {
  expect(readOrders(layout)).toEqual([{ role: 'relay', order: ORDER }]);
  const tarball = openTarball(layout, ORDER);
  expect(readFileSync(tarball, 'utf8')).toBe('tarball');
  closeSync(tarball);
});

test('an order that was carried out is gone, with its tarball', () => {
  removeOrder(layout, ORDER);
  removeOrder(layout, ORDER);
  expect(readOrders(layout)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('no order is one without its tarball', async () => {
  rmSync(join(folder, ORDER.tarball));
  await expect(writeOrder(layout.dataDir('relay'), ORDER)).rejects.toThrow('ENOENT');
  expect(() => openTarball(layout, ORDER)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
});

test('an unusable order of one node does not hide that of another', () => {
  mkdirSync(join(layout.dataDir('mirror'), 'upgrade'), { recursive: true });
  writeFileSync(join(layout.dataDir('mirror'), 'upgrade/order.json'), '{}');
  expect(readOrders(layout)).toEqual([
    { role: 'relay', order: ORDER },
    { role: 'mirror', error: expect.objectContaining({ code: 'INVALID_FIELD' }) as unknown },
  ]);
});

test('root may have made the data folder a link to another disk', () => {
  move(layout.dataDir('relay'), join(layout.root, 'elsewhere'));
  expect(readOrders(layout)).toEqual([{ role: 'relay', order: ORDER }]);
});

test('a confirmation is read back, and one that is unusable is none', () => {
  expect(readConfirmation(layout, 'relay')).toBeUndefined();
  writeConfirmation(layout.dataDir('relay'), { id: ORDER.id, version: '1.2.3' });
  expect(readConfirmation(layout, 'relay')).toEqual({ id: ORDER.id, version: '1.2.3' });
  writeFileSync(join(folder, 'confirmed.json'), '[]');
  expect(readConfirmation(layout, 'relay')).toBeUndefined();
});

describe('root follows no link of a node', () => {
  test.each([
    ['the order', (root: string) => move(join(folder, 'order.json'), join(root, 'elsewhere'))],
    ['the folder of the order', (root: string) => move(folder, join(root, 'elsewhere'))],
  ])('in the place of %s', (_what, make) => {
    make(layout.root);
    expect(failure()).toMatch(/^PERMISSIONS_UNSAFE /);
  });

  test('in the place of the tarball', () => {
    move(join(folder, ORDER.tarball), join(layout.root, 'elsewhere'));
    expect(() => openTarball(layout, ORDER)).toThrow(expect.objectContaining({ code: 'PERMISSIONS_UNSAFE' }));
  });

  test('that is a second name of a file', () => {
    linkSync(join(folder, 'order.json'), join(layout.root, 'second'));
    expect(failure()).toMatch(/^PERMISSIONS_UNSAFE /);
  });
});

describe('an order is rejected', () => {
  const write = (content: string): void => writeFileSync(join(folder, 'order.json'), content);

  test('without telling what is in a file that is no order', () => {
    write('root:$6$secret:19000\n');
    expect(failure()).toBe('INVALID_FIELD order.json is not JSON');
  });

  test('that is too large', () => {
    write(JSON.stringify({ ...ORDER, sums: 'a'.repeat(200_000) }));
    expect(failure()).toMatch(/^INVALID_FIELD .* has more than 131072 bytes/);
  });

  test('that is a folder', () => {
    rmSync(join(folder, 'order.json'));
    mkdirSync(join(folder, 'order.json'));
    expect(failure()).toMatch(/^PERMISSIONS_UNSAFE /);
  });

  test.each([
    ['of another role than its folder', { role: 'tentacle' }],
    ['with a tarball elsewhere', { tarball: 'isthmus-1/../../etc/shadow.tar.gz' }],
    ['with a version that is a path', { version: '../1.2.3' }],
    ['with an unknown field', { command: 'rm' }],
    ['with a signature of another length', { signature: 'AAAA' }],
    ['that waits for ever', { confirmWithinS: 1e9 }],
  ])('%s', (_what, change) => {
    write(JSON.stringify({ ...ORDER, ...change }));
    expect(failure()).toMatch(/^INVALID_FIELD /);
  });
});

/** Moves it and leaves a link in its place. */
function move(path: string, to: string): void {
  renameSync(path, to);
  symlinkSync(to, path);
}
