// Which mutants a run takes when it is told neither names nor --all: those near what the last commits touch, and a third
// of all for each of these commits. Commits take the thirds in turn, by their number in the history, so that any three
// runs in a row that bring at least a commit each show every mutant. (The hash of a commit would name thirds by chance.)
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { editsOf, type Mutant, type Mutants } from './mutant.ts';

const run = promisify(execFile);
const PARTS = 3;
/** What counts as the last commits where they cannot be told from main: on main itself. */
const LAST_COMMITS = 20;

export interface Change {
  /** Files that the last commits and the work tree touch. */
  readonly touched: ReadonlySet<string>;
  /** The numbers of the last commits, counted from the first of the history. */
  readonly numbers: readonly number[];
}

/** Names of the mutants that a change is to show red; all where the change is not known. */
export function select(records: Readonly<Record<string, Mutants>>, change: Change | undefined): Set<string> {
  const due = new Set(change?.numbers.map((number) => number % PARTS));
  const isApplied = (record: string, name: string, mutant: Mutant): boolean =>
    change === undefined || due.has(partOf(name)) || filesOf(record, mutant).some((file) => change.touched.has(file));
  const names = Object.entries(records).flatMap(([record, mutants]) =>
    Object.entries(mutants).flatMap(([name, mutant]) => (isApplied(record, name, mutant) ? [name] : [])),
  );
  return new Set(names);
}

function filesOf(record: string, mutant: Mutant): string[] {
  return [record, mutant.red.file, ...editsOf(mutant).map(({ file }) => file)];
}

/** By the name alone, so that a mutant which is added moves no other to another third. */
function partOf(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE() % PARTS;
}

/** What the last commits of the repository change; undefined where its history does not tell, as in a shallow clone. */
export async function lastChange(root: string): Promise<Change | undefined> {
  const git = async (...words: string[]): Promise<string | undefined> =>
    run('git', words, { cwd: root, maxBuffer: 64 * 1024 * 1024 }).then(
      ({ stdout }) => stdout.trim(),
      () => undefined,
    );
  if ((await git('rev-parse', '--is-shallow-repository')) !== 'false') return undefined;
  const head = await git('rev-parse', 'HEAD');
  const forked = await git('merge-base', 'origin/main', 'HEAD');
  const base = forked === head ? undefined : forked;
  const since = base ?? (await git('rev-parse', '--verify', '--quiet', `HEAD~${LAST_COMMITS}`));
  if (since === undefined) return undefined;
  const [from, to] = [await git('rev-list', '--count', since), await git('rev-list', '--count', 'HEAD')].map(Number);
  const files = await git('diff', '--name-only', since);
  if (from === undefined || to === undefined || files === undefined) return undefined;
  const numbers = Array.from({ length: to - from }, (_, index) => from + 1 + index);
  return { touched: new Set(files.split('\n')), numbers };
}
