// Shows each guarantee red: makes one mutant after the other in a copy of the tree and runs the test that it names. A
// mutant whose test stays green is a guarantee that nothing checks.
// usage: npm run test:mutants -- [--all] [--lab | --no-lab] [--json FILE] [NAME...]
// Without names and --all, those that selection.ts names; with --lab only those whose test needs the lab.
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { records } from './all.ts';
import { lastLanding, select } from './selection.ts';
import type { Group, Message } from './worker.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
/** A run that hangs must end some time. */
const WORKER_TIMEOUT_MS = 45 * 60_000;

async function copyTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'isthmus-mutant-'));
  const listed = await run('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root });
  for (const path of listed.stdout.split('\0').filter((each) => each !== '')) {
    await mkdir(join(copy, dirname(path)), { recursive: true });
    // A file that is deleted in the work tree but not in the index is listed and cannot be copied.
    await copyFile(join(root, path), join(copy, path)).catch(() => undefined);
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Groups by test file; throws when a name is no mutant's. */
function groupsOf(names: ReadonlySet<string>): Group[] {
  const named = Object.values(records)
    .flatMap((mutants) => Object.entries(mutants))
    .flatMap(([name, mutant]) => (names.has(name) ? [{ name, ...mutant }] : []));
  const unknown = [...names].filter((name) => named.every((mutant) => mutant.name !== name));
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}`);
  const groups = Object.groupBy(named, ({ red }) => red.file);
  return Object.entries(groups).map(([testFile, mutants = []]) => ({ testFile, mutants }));
}

/** Works through groups in a tree of its own until none is left; answers how many mutants were shown red. */
async function work(left: Group[]): Promise<number> {
  const tree = await copyTree();
  let shown = 0;
  try {
    const worker = fork(join(tree, 'test/mutants/worker.ts'), { cwd: tree, timeout: WORKER_TIMEOUT_MS });
    worker.on('message', (message: Message) => {
      if (message.kind === 'ready') give(worker, left.shift());
      else shown += tell(message);
    });
    const [code] = (await once(worker, 'exit')) as [number | null];
    if (code !== 0) process.stdout.write(`a worker broke off: ${code}\n`);
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
  return shown;
}

function give(worker: ChildProcess, group: Group | undefined): void {
  if (group === undefined) worker.disconnect();
  else worker.send(group);
}

function tell({ name, tookMs, fault }: Extract<Message, { kind: 'verdict' }>): number {
  const took = `${(tookMs / 1000).toFixed(1)} s`;
  process.stdout.write(
    fault === undefined ? `red as it must be  ${name}  ${took}\n` : `NOT RED  ${name}  ${took}  ${fault}\n`,
  );
  return fault === undefined ? 1 : 0;
}

/** The mutants that are named, else those that are due; all where none of the wanted kind is. */
async function wantedGroups(named: readonly string[], all: boolean, lab: boolean | undefined): Promise<Group[]> {
  const ofKind = (names: ReadonlySet<string>): Group[] =>
    groupsOf(names).filter(({ testFile }) => lab === undefined || testFile.startsWith('test/lab/') === lab);
  if (named.length > 0) return ofKind(new Set(named));
  const landing = all ? undefined : await lastLanding(root);
  const due = ofKind(select(records, landing));
  if (due.length > 0) return due;
  process.stdout.write('no mutant of this kind is due: all are taken\n');
  return ofKind(select(records, undefined));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'string' }, all: { type: 'boolean', default: false }, lab: { type: 'boolean' } },
    allowPositionals: true,
    allowNegative: true,
  });
  const groups = await wantedGroups(positionals, values.all, values.lab);
  const wanted = groups.reduce((sum, { mutants }) => sum + mutants.length, 0);
  process.stdout.write(`${wanted} of ${select(records, undefined).size} mutants are to be shown red\n`);
  // A red test mostly waits for what never comes: as many side by side as there are cores.
  const workers = Array.from({ length: Math.min(groups.length, availableParallelism()) }, () => work(groups));
  const shown = (await Promise.all(workers)).reduce((sum, count) => sum + count, 0);
  process.stdout.write(`${shown} of ${wanted} mutants are shown red\n`);
  if (values.json !== undefined) {
    const summary = { numPassedTests: shown, numFailedTests: wanted - shown, numPendingTests: 0 };
    await writeFile(values.json, JSON.stringify(summary));
  }
  if (shown < wanted || wanted === 0) process.exitCode = 1;
}

await main();
