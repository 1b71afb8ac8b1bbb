// What a tentacle keeps is never read, written, emptied or deleted through a link, even one that was put there since it
// started.
import { mkdir, readFile, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { Journal } from '../../tentacle/journal/journal.ts';
import { Spool } from '../../tentacle/logs/spool.ts';
import { readStampKey } from '../../tentacle/packages/stage.ts';
import { WorkspaceSeal } from '../../tentacle/scripts/workspace/sealed.ts';
import { Workspaces } from '../../tentacle/scripts/workspace/workspaces.ts';
import { tempDir } from '../support/temp.ts';

const workspaces = (dataDir: string) => Workspaces.open(dataDir, { isolated: false, log: silentLogger() });

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
  ['seal.key', (dataDir) => new WorkspaceSeal(dataDir)],
  ['stamp.key', (dataDir) => readStampKey(join(dataDir, 'stamp.key'), () => Buffer.alloc(32))],
];

it.each(uses)('a link at %s is rejected, and what it points to stays as it was', async (name, use) => {
  const dataDir = await tempDir();
  const path = join(dataDir, name);
  await mkdir(dirname(path), { recursive: true });
  const isFolder = !/[.]key$|journal\/|spool/.test(name);
  const elsewhere = join(await tempDir(), 'elsewhere');
  if (isFolder) await mkdir(elsewhere);
  const precious = isFolder ? join(elsewhere, 'precious') : elsewhere;
  // Half a record, which a journal or a spool of its own would cut off.
  await writeFile(precious, 'x'.repeat(32));
  await symlink(elsewhere, path);
  await expect(Promise.try(use, dataDir)).rejects.toMatchObject({ code: 'PERMISSIONS_UNSAFE' });
  expect(await readFile(precious, 'utf8')).toBe('x'.repeat(32));
  if (isFolder) expect(await readdir(elsewhere)).toEqual(['precious']);
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
