// Removing a tree while another process changes it.
import { mkdir, readdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../test/support/temp.ts';
import { waitFor } from '../test/support/wait.ts';
import { removeTree } from './remove-tree.ts';

const names = Array.from({ length: 2_000 }, (_, index) => `file-${index}`);

async function fill(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all(names.map((name) => writeFile(join(folder, name), '')));
}

test('removes nothing outside when a folder becomes a link meanwhile', async () => {
  const root = await tempDir();
  const [tree, sub, others] = [join(root, 'tree'), join(root, 'tree/sub'), join(root, 'others')];
  await fill(sub);
  await fill(others);
  const removed = removeTree(tree);
  await waitFor(async () => (await readdir(sub)).length < names.length, { what: 'the first file to go' });
  await rename(sub, join(root, 'moved'));
  await symlink(others, sub);
  await removed;
  expect((await readdir(others)).length).toBe(names.length);
  await expect(stat(tree)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('takes files, links and folders for what they are, and what is not there for removed', async () => {
  const root = await tempDir();
  await mkdir(join(root, 'tree/a/b'), { recursive: true });
  await mkdir(join(root, 'kept'));
  await symlink(join(root, 'kept'), join(root, 'tree/a/link'));
  await writeFile(Buffer.concat([Buffer.from(join(root, 'tree/a/')), Buffer.from([0xff, 0xfe])]), '');
  await removeTree(join(root, 'tree'));
  await removeTree(join(root, 'tree'));
  expect(await readdir(root)).toEqual(['kept']);
});
