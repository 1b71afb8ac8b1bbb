// Which mutants a run of CI takes, and that the records fit the tree.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { records } from './all.ts';
import { edited, editsOf, mutate, type Mutant } from './mutant.ts';
import { lastChange, select } from './selection.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const everyName = Object.values(records).flatMap((mutants) => Object.keys(mutants));

function mutant(file: string, testFile: string): Mutant {
  return { file, find: 'yes', replace: 'no', red: { file: testFile, test: ['says yes'] } };
}

describe('a run takes', () => {
  const few = { 'records/a.ts': { one: mutant('lib/one.ts', 'test/one.test.ts') } };
  const touching = (...files: string[]) => select(few, { touched: new Set(files), numbers: [] });

  it('the mutants whose source, red test or record a commit touches', () => {
    expect([...touching('lib/one.ts')]).toEqual(['one']);
    expect([...touching('lib/two.ts', 'test/one.test.ts')]).toEqual(['one']);
    expect([...touching('records/a.ts')]).toEqual(['one']);
    expect([...touching('lib/two.ts')]).toEqual([]);
  });

  it('about a third for each commit, and every mutant in any three commits', () => {
    const thirdOf = (number: number) => select(records, { touched: new Set(), numbers: [number] });
    for (const first of [1, 2, 3, 57]) {
      const [one, two, three] = [thirdOf(first), thirdOf(first + 1), thirdOf(first + 2)];
      expect(new Set([...one, ...two, ...three])).toEqual(new Set(everyName));
      expect(one.size + two.size + three.size).toBe(everyName.length);
      expect(one.size).toBeGreaterThan(everyName.length / 6);
    }
  });

  it('every mutant where the history does not tell what changed', () => {
    expect(select(records, undefined)).toEqual(new Set(everyName));
  });
});

describe('the last commits', () => {
  async function history(): Promise<{ folder: string; commit: (file: string) => Promise<void> }> {
    const folder = await tempDir();
    const commit = async (file: string): Promise<void> => {
      await writeFile(join(folder, file), '');
      await git(folder, 'add', file);
      await git(folder, 'commit', '--quiet', '--message', file);
    };
    await git(folder, 'init', '--quiet', '--initial-branch=main');
    for (let number = 1; number <= 25; number += 1) await commit(`main-${number}`);
    return { folder, commit };
  }

  it('are those since main, and what is not committed yet', async () => {
    const { folder, commit } = await history();
    await git(folder, 'update-ref', 'refs/remotes/origin/main', 'HEAD');
    await commit('branch-1');
    await commit('branch-2');
    await writeFile(join(folder, 'main-3'), 'changed');
    expect(await lastChange(folder)).toEqual({
      touched: new Set(['branch-1', 'branch-2', 'main-3']),
      numbers: [26, 27],
    });
  });

  it('are twenty on main itself', async () => {
    const { folder } = await history();
    await git(folder, 'update-ref', 'refs/remotes/origin/main', 'HEAD');
    const change = await lastChange(folder);
    expect(change?.numbers).toEqual(Array.from({ length: 20 }, (_, index) => 6 + index));
    expect(change?.touched.has('main-6')).toBe(true);
    expect(change?.touched.has('main-5')).toBe(false);
  });

  it('are not known in a shallow clone', async () => {
    const { folder } = await history();
    const clone = join(await tempDir(), 'clone');
    await run('git', ['clone', '--quiet', '--depth', '22', `file://${folder}`, clone]);
    expect(await lastChange(clone)).toBeUndefined();
  });
});

describe('a mutant', () => {
  it('that does not fit its file exactly once says so and changes nothing', async () => {
    const folder = await tempDir();
    const write = (text: string) => writeFile(join(folder, 'one.ts'), text);
    const one = mutant('one.ts', 'test/one.test.ts');
    await write('maybe');
    await expect(mutate(folder, one)).rejects.toThrow('one.ts: expected exactly once, found 0 times: yes');
    await write('yes, yes');
    await expect(mutate(folder, one)).rejects.toThrow('one.ts: expected exactly once, found 2 times: yes');
    expect(await readFile(join(folder, 'one.ts'), 'utf8')).toBe('yes, yes');
  });

  it('that has been made is undone', async () => {
    const folder = await tempDir();
    await writeFile(join(folder, 'one.ts'), 'yes, or maybe');
    const one = {
      ...mutant('one.ts', 'test/one.test.ts'),
      also: [{ file: 'one.ts', find: 'maybe', replace: 'never' }],
    };
    const restore = await mutate(folder, one);
    expect(await readFile(join(folder, 'one.ts'), 'utf8')).toBe('no, or never');
    await restore();
    expect(await readFile(join(folder, 'one.ts'), 'utf8')).toBe('yes, or maybe');
  });
});

test('every mutant fits the tree', async () => {
  const misfits: string[] = [];
  for (const [name, { red, ...mutant }] of Object.values(records).flatMap((mutants) => Object.entries(mutants))) {
    if (!existsSync(join(root, red.file))) misfits.push(`${name}: there is no ${red.file}`);
    for (const edit of editsOf({ red, ...mutant })) {
      const text = await readFile(join(root, edit.file), 'utf8').catch(() => '');
      try {
        edited(text, edit);
      } catch (error) {
        misfits.push(`${name}: ${String(error)}`);
      }
    }
  }
  expect(misfits).toEqual([]);
});

test('no two mutants have the same name', () => {
  expect(everyName.length).toBe(new Set(everyName).size);
});

async function git(folder: string, ...words: string[]): Promise<void> {
  await run('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...words]);
}
