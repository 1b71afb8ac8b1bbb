// The cache of compiled code, in a small installation of its own: cached code is executed, so only the owner may access
// it, whatever the umask.
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp.ts';

const kept = 'node_modules/.cache/isthmus';

/** An installation whose command only imports a module. */
async function installation(): Promise<string> {
  const folder = await tempDir();
  await mkdir(join(folder, 'cli'));
  await cp(join(import.meta.dirname, '../../cli/compiled-code.ts'), join(folder, 'cli/compiled-code.ts'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'cli/work.ts'), 'export const work: string = "done";');
  const main = `import { keepCompiledCode } from './compiled-code.ts';
    keepCompiledCode();
    console.log((await import('./work.ts')).work);`;
  await writeFile(join(folder, 'cli/main.ts'), main);
  return folder;
}

function run(folder: string): string {
  const words = ['-c', 'umask 000; exec "$0" "$1"', process.execPath, join(folder, 'cli/main.ts')];
  return spawnSync('sh', words, { encoding: 'utf8', env: { ...process.env, NODE_COMPILE_CACHE: undefined } }).stdout;
}

test('is kept where nobody else gets in', async () => {
  const folder = await installation();
  expect(run(folder)).toBe('done\n');
  expect((await stat(join(folder, kept))).mode & 0o777).toBe(0o700);
  expect(await readdir(join(folder, kept))).toHaveLength(1);
  expect(run(folder)).toBe('done\n');
});

test('is not kept where others get in, and a command works without it', async () => {
  const folder = await installation();
  await mkdir(join(folder, kept), { recursive: true });
  await chmod(join(folder, kept), 0o755);
  expect(run(folder)).toBe('done\n');
  expect(await readdir(join(folder, kept))).toEqual([]);
  await rm(join(folder, 'node_modules'), { recursive: true });
  await writeFile(join(folder, 'node_modules'), 'no folder');
  expect(run(folder)).toBe('done\n');
});
