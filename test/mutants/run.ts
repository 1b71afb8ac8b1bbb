// Shows each guarantee red: applies every patch in this folder to a copy of the tree and runs the test that its first
// line names (`# red: <test file> › <full test name>`). A mutant whose test stays green is a guarantee nobody checks.
// usage: node test/mutants/run.ts [--json FILE] [NAME...]
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

interface Mutant {
  readonly name: string;
  readonly patch: string;
  readonly file: string;
  readonly test: string;
  /** The names of its suites and its own, which `vitest -t` joins differently from its report. */
  readonly names: readonly string[];
}

interface VitestReport {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

async function readMutant(patch: string): Promise<Mutant> {
  const first = (await readFile(patch, 'utf8')).split('\n', 1)[0] ?? '';
  const stated = /^# red: (\S+\.test\.ts) › (.+)$/.exec(first);
  if (stated?.[1] === undefined || stated[2] === undefined) {
    throw new Error(`${basename(patch)}: the first line must be "# red: <test file> › <full test name>"`);
  }
  const names = stated[2].split(' › ');
  return { name: basename(patch, '.patch'), patch, file: stated[1], test: names.join(' '), names };
}

async function copyTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'isthmus-mutant-'));
  const listed = await run('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root });
  for (const path of listed.stdout.split('\0').filter((each) => each !== '')) {
    await mkdir(join(copy, dirname(path)), { recursive: true });
    // A file that is deleted in the work tree and not yet in the index is listed but is not there.
    await copyFile(join(root, path), join(copy, path)).catch(() => undefined);
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

function needsLab(name: string): boolean {
  return name.startsWith('lab-');
}

/** Why the mutant is not shown red; undefined when it is. */
async function survives(mutant: Mutant, tree: string): Promise<string | undefined> {
  const unapplied = await run('git', ['apply', '--whitespace=nowarn', mutant.patch], { cwd: tree }).then(
    () => undefined,
    (failure: { stderr: string }) => failure.stderr.trim(),
  );
  if (unapplied !== undefined) return `the patch does not apply: ${unapplied}`;
  const output = join(tree, 'mutant.json');
  const pattern = mutant.names.join(' > ').replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', mutant.file, '-t', pattern];
  await run(process.execPath, [...vitest, '--reporter=json', `--outputFile.json=${output}`], {
    cwd: tree,
    timeout: 600_000,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
  }).catch(() => undefined);
  await run('git', ['apply', '--whitespace=nowarn', '-R', mutant.patch], { cwd: tree });
  const report = await readFile(output, 'utf8').then(
    (text) => JSON.parse(text) as VitestReport,
    () => undefined,
  );
  await rm(output, { force: true });
  const results = report?.testResults.flatMap((file) => file.assertionResults) ?? [];
  const named = results.find((result) => result.fullName.trim() === mutant.test);
  if (named === undefined) {
    return `no test "${mutant.test}" ran in ${mutant.file}: ${report?.testResults[0]?.message.slice(0, 400) ?? 'no report'}`;
  }
  return named.status === 'failed' ? undefined : `"${mutant.test}" is ${named.status}: nothing notices`;
}

/** Shows mutants red in a tree of its own, one after the other, until none is left; answers how many were not. */
async function showRed(left: string[]): Promise<number> {
  if (left.length === 0) return 0;
  const tree = await copyTree();
  let failed = 0;
  try {
    await run('git', ['init', '-q'], { cwd: tree });
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const began = Date.now();
      const reason = await readMutant(join(import.meta.dirname, name)).then(
        (mutant) => survives(mutant, tree),
        (failure: Error) => failure.message,
      );
      if (reason !== undefined) failed += 1;
      const took = `${((Date.now() - began) / 1000).toFixed(1)} s`;
      process.stdout.write(
        `${reason === undefined ? 'red as it must be' : 'NOT RED'}  ${name}  ${took}  ${reason ?? ''}\n`,
      );
    }
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
  return failed;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true });
  const patches = (await readdir(import.meta.dirname)).filter((name) => name.endsWith('.patch')).sort();
  const wanted = patches.filter((name) => positionals.length === 0 || positionals.includes(basename(name, '.patch')));
  // A red test mostly waits for what never comes: as many side by side as there are cores. There is one lab, though.
  const [inLab, elsewhere] = [wanted.filter(needsLab), wanted.filter((name) => !needsLab(name))];
  const counts = await Promise.all(Array.from({ length: availableParallelism() }, () => showRed(elsewhere)));
  const failed = counts.reduce((sum, count) => sum + count, await showRed(inLab));
  const passed = wanted.length - failed;
  process.stdout.write(`${passed} of ${wanted.length} mutants are shown red\n`);
  if (values.json !== undefined) {
    const summary = { numPassedTests: passed, numFailedTests: failed, numPendingTests: 0 };
    await writeFile(values.json, JSON.stringify(summary));
  }
  if (failed > 0 || wanted.length === 0) process.exitCode = 1;
}

await main();
