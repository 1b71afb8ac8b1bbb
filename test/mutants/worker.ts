// Shows mutants red in a copy of the tree, with one vitest for all of them. Started by run.ts with that copy as its
// working folder; takes a group of mutants by message and answers each with a verdict.
import { join } from 'node:path';
import { createVitest, type TestModule, type Vitest } from 'vitest/node';
import { editsOf, mutate, type Mutant } from './mutant.ts';

/** Mutants whose red tests are in one file. */
export interface Group {
  readonly testFile: string;
  readonly mutants: readonly (Mutant & { readonly name: string })[];
}

export type Message =
  | { readonly kind: 'ready' }
  /** `fault` says why the mutant is not shown red. */
  | { readonly kind: 'verdict'; readonly name: string; readonly tookMs: number; readonly fault?: string };

/** On top of twice what the test takes without a mutant: longer than that, no wait and no test may last. */
const SLACK_MS = 5_000;
/** Longer than any wait of a test: what the unmutated test takes is not limited. */
const PATIENT_MS = 600_000;

class Worker {
  readonly #tree: string;
  readonly #vitest: Vitest;

  constructor(tree: string, vitest: Vitest) {
    this.#tree = tree;
    this.#vitest = vitest;
  }

  async show({ testFile, mutants }: Group): Promise<void> {
    const unmutated = await this.#run(testFile, [...new Set(mutants.map(nameOf))]);
    const hooksMs = hooksMsOf(unmutated);
    const before = mutants.map((mutant) => ({ mutant, ended: endOf(unmutated, mutant) }));
    for (const { mutant, ended } of before) {
      const beganMs = Date.now();
      // Whatever the test and its hooks wait for without the mutant comes within this: twice its time will do.
      const limitMs = 2 * Math.max(ended.tookMs, hooksMs) + SLACK_MS;
      const fault =
        ended.state === 'passed'
          ? await this.#survives(mutant, limitMs)
          : `it is not green without the mutant either: ${ended.detail}`;
      const verdict = { kind: 'verdict', name: mutant.name, tookMs: Date.now() - beganMs } as const;
      send(fault === undefined ? verdict : { ...verdict, fault });
    }
  }

  /** Why the mutant is not shown red; undefined when it is. */
  async #survives(mutant: Mutant, limitMs: number): Promise<string | undefined> {
    let restore;
    try {
      restore = await mutate(this.#tree, mutant);
    } catch (error) {
      return String(error);
    }
    this.#forget(mutant);
    try {
      const ended = endOf(await this.#run(mutant.red.file, [nameOf(mutant)], limitMs), mutant);
      return ended.state === 'failed' ? undefined : `nothing notices: ${ended.detail}`;
    } finally {
      await restore();
      this.#forget(mutant);
    }
  }

  #forget(mutant: Mutant): void {
    for (const { file } of editsOf(mutant)) this.#vitest.invalidateFile(join(this.#tree, file));
  }

  async #run(testFile: string, testNames: string[], limitMs = PATIENT_MS): Promise<TestModule | undefined> {
    const path = join(this.#tree, testFile);
    const [found] = await this.#vitest.globTestSpecifications([path]);
    if (found === undefined) return undefined;
    const { config } = found.project;
    const { testTimeout, hookTimeout } = config;
    // A process runs tests of one run only, and takes these over when it starts.
    process.env['ISTHMUS_TEST_WAIT_MS'] = String(limitMs);
    const [testLimitMs, hookLimitMs] = [Math.min(testTimeout, limitMs), Math.min(hookTimeout, limitMs)];
    Object.assign(config, { testTimeout: testLimitMs, hookTimeout: hookLimitMs });
    try {
      const spec = found.project.createSpecification(path, { testNames });
      const { testModules } = await this.#vitest.runTestSpecifications([spec]);
      // It answers with the modules of earlier runs, too.
      return testModules.find(({ moduleId }) => moduleId === path);
    } finally {
      Object.assign(config, { testTimeout, hookTimeout });
    }
  }
}

function nameOf({ red }: Mutant): string {
  return red.test.join(' > ');
}

function hooksMsOf(module: TestModule | undefined): number {
  const testsMs = [...(module?.children.allTests() ?? [])].map((test) => test.diagnostic()?.duration ?? 0);
  return (module?.diagnostic().duration ?? 0) - testsMs.reduce((sum, ms) => sum + ms, 0);
}

interface End {
  readonly state: string;
  readonly tookMs: number;
  readonly detail: string;
}

/** How the red test of a mutant ended in this run of its file. */
function endOf(module: TestModule | undefined, mutant: Mutant): End {
  const named = [...(module?.children.allTests() ?? [])].find((test) => test.fullName === nameOf(mutant));
  const state = named?.result().state ?? 'missing';
  const errors = [...(named?.result().errors ?? []), ...(module?.errors() ?? [])].map(({ message }) => message);
  const detail = [`"${nameOf(mutant)}" in ${mutant.red.file} is ${state}`, ...errors].join('; ');
  return { state, tookMs: named?.diagnostic()?.duration ?? 0, detail };
}

function send(message: Message): void {
  process.send?.(message);
}

const tree = process.cwd();
const vitest = await createVitest('test', { root: tree, watch: false, reporters: [{}], silent: true });
await vitest.standalone();
const worker = new Worker(tree, vitest);
process.on('message', (group: Group) => {
  void worker.show(group).then(() => send({ kind: 'ready' }));
});
process.once('disconnect', () => {
  // vitest counts red tests as its own failure.
  process.exitCode = 0;
  void vitest.close();
});
send({ kind: 'ready' });
