// Root works in another account's folder with that account's rights, and has its own again afterwards.
import { chownSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lacks } from '../../test/support/needs.ts';
import { tempDir } from '../../test/support/temp.ts';
import { asOwnerOf } from './as-owner.ts';

describe.skipIf(lacks('root'))('as the owner of a folder, root', () => {
  test('reads nothing through a link that the owner could not read, and creates files of the owner', async () => {
    const [folder, elsewhere] = [await tempDir(), await tempDir()];
    writeFileSync(join(elsewhere, 'secret'), 'secret', { mode: 0o600 });
    await chmod(elsewhere, 0o755);
    symlinkSync(join(elsewhere, 'secret'), join(folder, 'link'));
    chownSync(folder, 12_345, 54_321);
    await asOwnerOf(folder, async () => {
      expect([process.geteuid?.(), process.getegid?.(), process.getgroups?.()]).toEqual([12_345, 54_321, [54_321]]);
      expect(() => readFileSync(join(folder, 'link'))).toThrow(/EACCES/);
      await expect(readFile(join(folder, 'link'))).rejects.toThrow(/EACCES/);
      await writeFile(join(folder, 'new'), '');
    });
    expect(statSync(join(folder, 'new'))).toMatchObject({ uid: 12_345, gid: 54_321 });
    expect(await readFile(join(folder, 'link'), 'utf8')).toBe('secret');
  });

  test('has its own rights again when the work fails', async () => {
    const folder = await tempDir();
    chownSync(folder, 12_345, 54_321);
    const groups = process.getgroups?.();
    await expect(asOwnerOf(folder, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect([process.geteuid?.(), process.getegid?.(), process.getgroups?.()]).toEqual([0, 0, groups]);
  });

  test('stays root where the folder is its own, or is not there yet', async () => {
    const folder = await tempDir();
    for (const path of [folder, join(folder, 'none')]) {
      expect(await asOwnerOf(path, () => Promise.resolve(process.geteuid?.()))).toBe(0);
    }
  });
});
