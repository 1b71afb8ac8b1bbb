// Which mutants a run of CI takes.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { records } from './all.ts';
import type { Mutant } from './mutant.ts';
import { lastLanding, select } from './selection.ts';

const run = promisify(execFile);
const everyName = Object.values(records).flatMap((mutants) => Object.keys(mutants));
const third = Math.ceil(everyName.length / 3);

function mutant(file: string, testFile: string): Mutant {
  return { file, find: 'yes', replace: 'no', red: { file: testFile, test: ['says yes'] } };
}

const touched = (...commits: string[][]) => commits.map((files) => new Set(files));

describe('a run takes', () => {
  const few = { 'records/a.ts': { one: mutant('lib/one.ts', 'test/one.test.ts') } };
  // In this round `one` is not due.
  const number = [0, 1, 2].find((each) => select(few, { number: each, touched: [] }).size === 0)!;

  it('the mutants whose source, red test or record the landing touches', () => {
    const touching = (...files: string[]) => [...select(few, { number, touched: touched([], files) })];
    expect(touching('lib/one.ts')).toEqual(['one']);
    expect(touching('lib/two.ts', 'test/one.test.ts')).toEqual(['one']);
    expect(touching('records/a.ts')).toEqual(['one']);
    expect(touching('lib/two.ts')).toEqual([]);
  });

  it('about a third in each round, and every mutant in three', () => {
    for (const first of [1, 2, 3, 57]) {
      const rounds = [first, first + 1, first + 2].map((each) => select(records, { number: each, touched: [] }));
      expect(new Set(rounds.flatMap((names) => [...names]))).toEqual(new Set(everyName));
      expect(rounds.reduce((sum, { size }) => sum + size, 0)).toBe(everyName.length);
      for (const { size } of rounds) expect(size).toBeGreaterThan(everyName.length / 6);
    }
  });

  it('of those that are touched another third at most, those of the newest commits first', () => {
    const due = select(records, { number: 1, touched: [] });
    const all = Object.keys(records);
    const names = select(records, { number: 1, touched: touched([], ['test/mutants/tasks.ts'], all) });
    expect(names.size).toBe(due.size + third);
    expect(names.isSupersetOf(due)).toBe(true);
    expect(names.isSupersetOf(new Set(Object.keys(records['test/mutants/tasks.ts']!)))).toBe(true);
    // Of one commit, those that would be due next.
    const other = select(records, { number: 1, touched: touched([], all) });
    const next = select(records, { number: 2, touched: [] });
    expect(other.isSupersetOf(next) || other.difference(due).isSubsetOf(next)).toBe(true);
  });

  it('as many where it is not known what the landing touches, and every mutant where nothing is known', () => {
    const due = select(records, { number: 1, touched: [] });
    expect(select(records, { number: 1, touched: undefined }).size).toBe(due.size + third);
    expect(select(records, undefined)).toEqual(new Set(everyName));
  });
});

describe('the last landing', () => {
  it('is the commits within six hours of each other, newest first, after what is not committed yet', async () => {
    const folder = await history([0, 1, 8, 14, 19]);
    await writeFile(join(folder, 'file-1'), 'changed');
    expect(await lastLanding(folder)).toEqual({
      number: 2,
      touched: touched(['file-1'], ['file-5'], ['file-4'], ['file-3']),
    });
  });

  it('is looked at as far as its newest forty commits go', async () => {
    const landing = await lastLanding(await history(Array.from({ length: 50 }, () => 0)));
    expect(landing).toMatchObject({ number: 1 });
    expect(landing?.touched).toHaveLength(1 + 40);
    expect([...landing!.touched!.at(-1)!]).toEqual(['file-11']);
  });

  it('counts what a merge has brought', async () => {
    const folder = await history([0, 10]);
    await git(folder, 'switch', '--quiet', '--create', 'side', 'HEAD~1');
    for (const file of ['side-1', 'side-2']) {
      await writeFile(join(folder, file), '');
      await git(folder, 'add', file);
      await git(folder, 'commit', '--quiet', '--message', file);
    }
    await git(folder, 'switch', '--quiet', 'main');
    await git(folder, 'merge', '--quiet', '--no-ff', '--message', 'merge', 'side');
    expect(await lastLanding(folder)).toEqual({ number: 3, touched: touched([], ['side-1', 'side-2']) });
  });

  it('names in three landings every mutant, however many commits each has', async () => {
    const folder = await history([0, 0, 0, 10, 20, 20, 20, 20, 20, 20, 30, 30]);
    const names = new Set<string>();
    for (const last of ['HEAD~8', 'HEAD~2', 'HEAD']) {
      const clone = join(await tempDir(), 'clone');
      await run('git', ['clone', '--quiet', `file://${folder}`, clone]);
      await git(clone, 'reset', '--quiet', '--hard', last);
      for (const name of select(records, await lastLanding(clone))) names.add(name);
    }
    expect(names).toEqual(new Set(everyName));
  });

  it('is what a shallow clone has of it, without its oldest commit', async () => {
    const folder = await history([0, 1, 2, 3]);
    const cloned = async (depth: number) => {
      const clone = join(await tempDir(), 'clone');
      await run('git', ['clone', '--quiet', '--depth', String(depth), `file://${folder}`, clone]);
      return lastLanding(clone);
    };
    const [three, one] = [await cloned(3), await cloned(1)];
    expect(three?.touched).toEqual(touched([], ['file-4'], ['file-3']));
    expect(one).toEqual({ number: three?.number, touched: undefined });
    expect(select(records, one).size).toBeGreaterThan(third);
  });

  it('is not known outside a repository, nor in an empty one', async () => {
    const folder = await tempDir();
    expect(await lastLanding(folder)).toBeUndefined();
    await git(folder, 'init', '--quiet');
    expect(await lastLanding(folder)).toBeUndefined();
  });
});

/** A repository with a commit at each of these hours, each with a file of its own. */
async function history(hours: readonly number[]): Promise<string> {
  const folder = await tempDir();
  await git(folder, 'init', '--quiet', '--initial-branch=main');
  const imported = run('git', ['-C', folder, 'fast-import', '--quiet']);
  imported.child.stdin?.end(hours.map((hour, index) => importedCommit(hour, `file-${index + 1}`)).join(''));
  await imported;
  await git(folder, 'reset', '--quiet', '--hard');
  return folder;
}

/** A commit of a file without content, in the words of `git fast-import`. */
function importedCommit(hour: number, file: string): string {
  const committer = `committer t <t@example.org> ${1_000_000 + hour * 3_600} +0000`;
  return `commit refs/heads/main\n${committer}\ndata 0\nM 100644 inline ${file}\ndata 0\n\n`;
}

async function git(folder: string, ...words: string[]): Promise<void> {
  await run('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...words]);
}
