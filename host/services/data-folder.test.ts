// A data folder is given to the account of a service, and nothing that lies elsewhere is.
import { linkSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lacks } from '../../test/support/needs.ts';
import { tempDir } from '../../test/support/temp.ts';
import { giveDataFolder, makeDataFolder } from './data-folder.ts';

const OWNER = { uid: 12_345, gid: 54_321 };

const ownerOf = (path: string) => {
  const { uid, gid } = lstatSync(path);
  return { uid, gid };
};

describe.skipIf(lacks('root'))('a data folder', () => {
  test('belongs to the account, with all in it; the folder above lets it through', async () => {
    const above = join(await tempDir(), 'isthmus');
    mkdirSync(above, { mode: 0o700 });
    const folder = join(above, 'relay');
    makeDataFolder(folder);
    mkdirSync(join(folder, 'identity'));
    writeFileSync(join(folder, 'identity/node.json'), '');
    giveDataFolder(folder, OWNER);
    giveDataFolder(folder, OWNER);
    for (const name of ['', 'identity', 'identity/node.json']) expect(ownerOf(join(folder, name))).toEqual(OWNER);
    expect(lstatSync(folder).mode & 0o777).toBe(0o700);
    expect(lstatSync(above).mode & 0o777).toBe(0o755);
    expect(ownerOf(above)).toEqual({ uid: 0, gid: 0 });
  });

  test('gives no file away that a link in it leads to, or that has another name', async () => {
    const root = await tempDir();
    const [folder, secret] = [join(root, 'relay'), join(root, 'secret')];
    mkdirSync(folder);
    mkdirSync(join(root, 'secrets'));
    writeFileSync(secret, '');
    writeFileSync(join(root, 'secrets/one'), '');
    symlinkSync(secret, join(folder, 'to-file'));
    symlinkSync(join(root, 'secrets'), join(folder, 'to-folder'));
    giveDataFolder(folder, OWNER);
    linkSync(secret, join(folder, 'other-name'));
    expect(() => giveDataFolder(folder, OWNER)).toThrow(/other-name is a file with 2 names/);
    for (const path of [secret, join(root, 'secrets'), join(root, 'secrets/one')]) {
      expect(ownerOf(path)).toEqual({ uid: 0, gid: 0 });
    }
  });
});
