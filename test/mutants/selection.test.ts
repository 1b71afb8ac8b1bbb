// Which mutants a run of CI takes.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { records } from './all.ts';
import type { Mutant } from './mutant.ts';
import { lastChange, select } from './selection.ts';

const run = promisify(execFile);
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
    const commits = Array.from({ length: 25 }, (_, index) => importedCommit(index + 1));
    const imported = run('git', ['-C', folder, 'fast-import', '--quiet']);
    imported.child.stdin?.end(commits.join(''));
    await imported;
    await git(folder, 'reset', '--quiet', '--hard');
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

/** A commit of a file without content, in the words of `git fast-import`. */
function importedCommit(number: number): string {
  const committer = `committer t <t@example.org> ${number} +0000`;
  return `commit refs/heads/main\n${committer}\ndata 0\nM 100644 inline main-${number}\ndata 0\n\n`;
}

async function git(folder: string, ...words: string[]): Promise<void> {
  await run('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...words]);
}
