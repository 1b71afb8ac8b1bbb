// Which mutants a run takes when it is told neither names nor --all: the third that is due, and those near what the
// last landing changed, newest first, as many as another third.
//
// A landing brings several commits at once, and CI sees a clone of main alone, so the history has to tell landings
// apart: one begins with a commit that is more than six hours younger than its parent on main. Landings take the thirds
// in turn, by their number in the history.
//
// Guaranteed: of three landings in a row, with more than six hours between them and no such pause within one, and a run
// of CI with the whole history after each, every mutant that is there in all three is taken. Not guaranteed: closer
// landings count as one, and the third stays the same; one with a longer pause counts as two, which skips a third; a
// shallow clone does not know the number, and the hash of its last commit picks the third by chance; mutants near the
// landing beyond another third wait for their own. Nothing can be promised by a commit alone: for any rule there are
// commits that pick the same third three times in a row.
//
// Where Git tells nothing, every mutant is taken.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { editsOf, type Mutant, type Mutants } from './mutant.ts';

const run = promisify(execFile);
const PARTS = 3;
/** Work on one landing pauses for a meal, and not for a night. */
const BETWEEN_LANDINGS_S = 6 * 60 * 60;
/** The commits of a landing that are looked at: the newest. */
const MAX_COMMITS = 40;

export type Records = Readonly<Record<string, Mutants>>;

export interface LastLanding {
  /** Modulo three it names the third that is due. */
  readonly number: number;
  /** The files that are touched: in the work tree, then by each commit, newest first. Absent where it is not known. */
  readonly touched: readonly ReadonlySet<string>[] | undefined;
}

/** Names of the mutants that a run takes; all where the last landing is not known. */
export function select(records: Records, landing: LastLanding | undefined): Set<string> {
  const all = Object.entries(records).flatMap(([record, mutants]) =>
    Object.entries(mutants).map(([name, mutant]) => ({ name, files: filesOf(record, mutant) })),
  );
  if (landing === undefined) return new Set(all.map(({ name }) => name));
  const { number, touched } = landing;
  const waitOf = (name: string): number => (partOf(name) - (number % PARTS) + PARTS) % PARTS;
  const ageOf = (files: readonly string[]): number =>
    touched?.findIndex((each) => files.some((file) => each.has(file))) ?? 0;
  const near = all
    .map(({ name, files }) => ({ name, wait: waitOf(name), age: ageOf(files) }))
    .filter(({ wait, age }) => wait > 0 && age >= 0)
    // Of those that one commit touches the ones that are due next: the run after this one may see other commits.
    .toSorted((a, b) => a.age - b.age || a.wait - b.wait);
  const due = all.filter(({ name }) => waitOf(name) === 0);
  return new Set([...due, ...near.slice(0, Math.ceil(all.length / PARTS))].map(({ name }) => name));
}

function filesOf(record: string, mutant: Mutant): string[] {
  return [record, mutant.red.file, ...editsOf(mutant).map(({ file }) => file)];
}

/** By the name alone, so that a mutant which is added moves no other to another third. */
function partOf(name: string): number {
  return hashOf(name) % PARTS;
}

function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE();
}

/** The last landing on the branch that is checked out; undefined where Git does not tell. */
export async function lastLanding(root: string): Promise<LastLanding | undefined> {
  const git = async (...words: string[]): Promise<string> =>
    (await run('git', words, { cwd: root, maxBuffer: 64 * 1024 * 1024 })).stdout.trim();
  try {
    const isShallow = (await git('rev-parse', '--is-shallow-repository')) !== 'false';
    const times = (await git('log', '--first-parent', '--format=%ct')).split('\n').map(Number);
    const starts = times.flatMap((time, index) => (isStart(time, times[index + 1]) ? [index] : []));
    // The oldest commit of a shallow clone seems to touch every file.
    const known = isShallow ? times.length - 1 : times.length;
    const count = Math.min((starts[0] ?? 0) + 1, MAX_COMMITS, known);
    const workTree = await git('diff', '--name-only', 'HEAD');
    const log = await git('log', '-m', '--first-parent', '--format=%x00', '--name-only', `--max-count=${count}`);
    const commits = log.split('\0').slice(1);
    return {
      number: isShallow ? hashOf(await git('rev-parse', 'HEAD')) : starts.length,
      touched: count === 0 ? undefined : [workTree, ...commits].map(filesIn),
    };
  } catch {
    return undefined;
  }
}

function filesIn(lines: string): Set<string> {
  return new Set(lines.split('\n').filter((line) => line !== ''));
}

/** Whether a landing begins with a commit of this time on top of one of that. */
function isStart(time: number, parent: number | undefined): boolean {
  return parent === undefined || time - parent > BETWEEN_LANDINGS_S;
}
