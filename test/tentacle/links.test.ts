// What a tentacle keeps is never read, written, emptied or deleted through a link, even one that was put there since it
// started.
import { chmod, mkdir, readFile, readdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { Journal } from '../../tentacle/journal/journal.ts';
import { Spool } from '../../tentacle/logs/spool.ts';
import type { PackageOrder } from '../../tentacle/packages/payload.ts';
import { Releases } from '../../tentacle/packages/releases.ts';
import { settleRelease } from '../../tentacle/packages/settle.ts';
import { readStampKey } from '../../tentacle/packages/stage.ts';
import type { ScriptUser } from '../../tentacle/scripts/launch/script-user.ts';
import { WorkspaceSeal } from '../../tentacle/scripts/workspace/sealed.ts';
import { Workspaces } from '../../tentacle/scripts/workspace/workspaces.ts';
import { tempDir } from '../support/temp.ts';

const workspaces = (dataDir: string) => Workspaces.open(dataDir, { isolated: false, log: silentLogger() });
const workspace = (dataDir: string) => workspaces(dataDir).of('x');

const INSTALLATION = 'applications/shop/prod/web';
const releases = (dataDir: string) => new Releases(join(dataDir, INSTALLATION));

async function settles(dataDir: string): Promise<void> {
  const folder = join(dataDir, INSTALLATION, 'releases');
  await mkdir(join(folder, '1'), { recursive: true });
  await writeFile(join(folder, '1.json'), JSON.stringify({ task: 'task-1' }));
  await settleRelease(releases(dataDir), {} as PackageOrder, 'task-1');
}

async function stores(dataDir: string): Promise<void> {
  const store = await BlobStore.open(join(dataDir, 'packages'));
  const writer = await store.receive();
  await writer.write(Buffer.from('package'));
  const folder = join(dataDir, 'packages/blobs/bc');
  await rename(join(dataDir, 'link'), folder);
  await writer.commit().finally(() => writer.discard());
}

const uses: readonly (readonly [string, (dataDir: string) => unknown])[] = [
  ['journal', (dataDir) => Journal.open(dataDir)],
  ['journal/journal', (dataDir) => Journal.open(dataDir)],
  ['tickets', workspaces],
  ['spare', workspaces],
  ['undeletable', workspaces],
  ['spool', (dataDir) => Spool.open(join(dataDir, 'spool'))],
  ['packages', (dataDir) => BlobStore.open(join(dataDir, 'packages'))],
  ['packages/blobs', (dataDir) => BlobStore.open(join(dataDir, 'packages'))],
  ['packages/partial', (dataDir) => BlobStore.open(join(dataDir, 'packages'))],
  ['link', stores],
  ['tickets/x', (dataDir) => workspace(dataDir).ensure()],
  ['tickets/x', (dataDir) => workspace(dataDir).shut()],
  ['tickets/x', (dataDir) => workspace(dataDir).prepare('body', { isolated: false } as ScriptUser)],
  ['tickets/x/work', (dataDir) => workspace(dataDir).prepare('body', { isolated: false } as ScriptUser)],
  ['applications', (dataDir) => releases(dataDir).prepare()],
  ['applications/shop', (dataDir) => releases(dataDir).prepare()],
  ['applications/shop/prod', (dataDir) => releases(dataDir).prepare()],
  [INSTALLATION, (dataDir) => releases(dataDir).prepare()],
  [`${INSTALLATION}/releases`, (dataDir) => releases(dataDir).prepare()],
  [`${INSTALLATION}/releases/1`, (dataDir) => releases(dataDir).isActivated('1')],
  [`${INSTALLATION}/.private`, (dataDir) => releases(dataDir).prepare()],
  [`${INSTALLATION}/.private`, settles],
  ['seal.key', (dataDir) => new WorkspaceSeal(dataDir)],
  ['stamp.key', (dataDir) => readStampKey(join(dataDir, 'stamp.key'), () => Buffer.alloc(32))],
];

it.each(uses)('a link at %s is rejected, and what it points to stays as it was', async (name, use) => {
  const dataDir = await tempDir();
  const path = join(dataDir, name);
  await mkdir(dirname(path), { recursive: true });
  const isFolder = !/[.]key$|journal\/|spool/.test(name);
  const elsewhere = join(await tempDir(), 'elsewhere');
  if (isFolder) await mkdir(elsewhere, { mode: 0o750 });
  const precious = isFolder ? join(elsewhere, 'precious') : elsewhere;
  // Half a record, which a journal or a spool of its own would cut off.
  await writeFile(precious, 'x'.repeat(32));
  await symlink(elsewhere, path);
  await expect(Promise.try(use, dataDir)).rejects.toMatchObject({ code: 'PERMISSIONS_UNSAFE' });
  expect(await readFile(precious, 'utf8')).toBe('x'.repeat(32));
  if (!isFolder) return;
  expect(await readdir(elsewhere)).toEqual(['precious']);
  expect((await stat(elsewhere)).mode & 0o777).toBe(0o750);
});

it('a link at the workspace of a ticket is removed itself, and what it points to stays as it was', async () => {
  const dataDir = await tempDir();
  const elsewhere = await tempDir();
  await mkdir(join(elsewhere, 'work'));
  await writeFile(join(elsewhere, 'precious'), '');
  await chmod(elsewhere, 0o750);
  const opened = workspaces(dataDir);
  for (const abandoned of [true, false]) {
    await symlink(elsewhere, join(dataDir, 'tickets/x'));
    await opened.remove(opened.of('x'), { abandoned });
    expect(await readdir(join(dataDir, 'tickets'))).toEqual([]);
  }
  expect(await readdir(elsewhere)).toEqual(['precious', 'work']);
  expect((await stat(elsewhere)).mode & 0o777).toBe(0o750);
});

it('a package that became a link is not served', async () => {
  const folder = join(await tempDir(), 'packages');
  const writer = await (await BlobStore.open(folder)).receive();
  await writer.write(Buffer.from('package'));
  const { sha256 } = await writer.commit();
  const store = await BlobStore.open(folder);
  const path = store.pathOf(sha256);
  await rename(path, `${folder}-elsewhere`);
  await symlink(`${folder}-elsewhere`, path);
  await expect(store.open(sha256)).rejects.toThrow();
});
