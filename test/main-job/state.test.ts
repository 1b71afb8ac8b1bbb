// The quickstart's folder: created, found again, and never another program's.
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { StateFolder } from '../../cli/quickstart/state.ts';
import { tempDir } from '../support/temp.ts';

it('is private, found again, and emptied by --clean', async () => {
  const path = join(await tempDir(), 'deep/er');
  const folder = new StateFolder(path);
  await folder.prepare({ clean: false });
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  const { ports } = await folder.load(['api']);
  await folder.prepare({ clean: false });
  expect((await folder.load(['api'])).ports).toEqual(ports);
  await mkdir(join(path, 'nodes/eu'), { recursive: true });
  await folder.prepare({ clean: true });
  expect((await readdir(path)).sort()).toEqual(['created-by-isthmus-quickstart', 'logs']);
});

it('a clean start that was killed half-way can be repeated', async () => {
  const path = await tempDir();
  const folder = new StateFolder(path);
  await folder.prepare({ clean: true });
  await rm(join(path, 'logs'), { recursive: true });
  await writeFile(join(path, 'context.json'), '{}');
  await folder.prepare({ clean: true });
  expect(await readdir(path)).not.toContain('context.json');
});

it.each([true, false])('rejects a folder with other files (clean: %s), and changes nothing in it', async (clean) => {
  const path = await tempDir();
  await mkdir(join(path, 'logs'));
  await writeFile(join(path, 'thesis.txt'), 'years of work');
  await expect(new StateFolder(path).prepare({ clean })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect((await readdir(path)).sort()).toEqual(['logs', 'thesis.txt']);
});
