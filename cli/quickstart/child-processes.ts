// The child processes of the quickstart: each component runs in its own, as it would on its own machine. A child stops
// when its standard input ends, so that it never outlives this process, however this process dies.
import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { stopAfter, within } from '../../lib/async/deadline.ts';
import { componentEnv } from '../../lib/config/env.ts';
import { IsthmusError } from '../../contract/errors.ts';

const START_LIMIT_MS = 45_000;
const STOP_LIMIT_MS = 10_000;
const SHOWN_LOG_LINES = 12;
/** With less no component can start: a database alone takes as much. */
const LEAST_FREE_BYTES = 1024 * 1024;

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

type Phase = 'starting' | 'running' | 'stopping';

interface Child {
  /** A component runs until it is stopped, a command to its end. */
  readonly kind: 'component' | 'command';
  readonly name: string;
  readonly logFile: string;
  readonly childProcess: ChildProcess;
  readonly exited: Promise<Exit>;
  phase: Phase;
}

/** The last lines of a log, for the message of a failure. */
async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-SHOWN_LOG_LINES).join('\n');
}

function exitText({ code, signal }: Exit): string {
  return signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`;
}

export class ProcessGroup {
  readonly #main: string;
  readonly #children: Child[] = [];
  #stopped = false;
  readonly #failed = Promise.withResolvers<never>();

  /** `main` is the command line's main module: each child is an `isthmus …` too. */
  constructor(main: string) {
    this.#main = main;
    // A caller may start to listen later; until then the rejection must not count as unhandled.
    this.#failed.promise.catch(() => undefined);
  }

  /** Rejects when a started component ends by itself. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** The process ids of the children, by name. */
  get running(): ReadonlyMap<string, number> {
    return new Map(
      this.#children.flatMap(({ name, childProcess }) =>
        childProcess.pid === undefined ? [] : [[name, childProcess.pid] as const],
      ),
    );
  }

  /** Starts a component and resolves with its addresses once it reports that it has started. */
  async start(name: string, args: readonly string[], logFile: string): Promise<unknown> {
    const child = await this.#spawn('component', name, ['-o', 'json', ...args, '--stop-with-stdin'], logFile);
    const started = Promise.withResolvers<unknown>();
    const lines = createInterface({ input: child.childProcess.stdout! });
    lines.once('line', (line) => started.resolve((JSON.parse(line) as { addresses: unknown }).addresses));
    child.exited.then((exit) => started.reject(new Error(exitText(exit))), started.reject);
    try {
      const late = () => new Error('did not start in time');
      const addresses = await within(started.promise, { ms: START_LIMIT_MS, late });
      child.phase = 'running';
      child.exited.then((exit) => this.#onExit(child, exit), this.#failed.reject);
      return addresses;
    } catch (cause) {
      throw await failure(name, (cause as Error).message, logFile);
    }
  }

  /** Runs a command to its end; `input` is its standard input. Resolves with its standard output. */
  async run(name: string, args: readonly string[], logFile: string, input = ''): Promise<string> {
    const child = await this.#spawn('command', name, args, logFile);
    let output = '';
    child.childProcess.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.childProcess.stdin!.end(input);
    const exit = await child.exited;
    this.#forget(child);
    if (exit.code !== 0) throw await failure(name, exitText(exit), logFile);
    return output;
  }

  /** Stops all children and kills those that do not stop in time. None can be started afterwards. */
  async stop({ limitMs = STOP_LIMIT_MS }: { limitMs?: number } = {}): Promise<void> {
    this.#stopped = true;
    const stopping = this.#children.toReversed().map(async (child) => {
      child.phase = 'stopping';
      child.childProcess.stdin?.end();
      // The standard input of a command has ended already.
      if (child.kind === 'command') child.childProcess.kill('SIGTERM');
      await stopAfter(
        limitMs,
        () => child.childProcess.kill('SIGKILL'),
        () => child.exited,
      );
    });
    await Promise.all(stopping);
  }

  async #spawn(kind: Child['kind'], name: string, args: readonly string[], logFile: string): Promise<Child> {
    const log: FileHandle = await open(logFile, 'a', 0o600);
    try {
      // A node that was joining when the stop began must not be started after it.
      if (this.#stopped) throw new IsthmusError('CANCELLED', `${name} is not started any more`);
      // A session of its own: Ctrl-C reaches only this process, which then stops the children.
      const childProcess = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', this.#main, ...args], {
        stdio: ['pipe', 'pipe', log.fd],
        detached: true,
        env: componentEnv({}),
      });
      const { promise, resolve } = Promise.withResolvers<Exit>();
      childProcess.once('exit', (code, signal) => resolve({ code, signal }));
      childProcess.once('error', () => resolve({ code: -1, signal: null }));
      // Without descriptors Node makes no pipes, and reports the failure only later.
      if (!('stdout' in childProcess)) {
        throw new IsthmusError('COMPONENT_FAILED', `${name} could not be started: too many files are open`);
      }
      // Writing to a child that has ended fails; its exit says more.
      childProcess.stdin?.on('error', () => undefined);
      const child: Child = { kind, name, logFile, childProcess, exited: promise, phase: 'starting' };
      this.#children.push(child);
      return child;
    } finally {
      await log.close();
    }
  }

  #forget(child: Child): void {
    this.#children.splice(this.#children.indexOf(child), 1);
  }

  #onExit(child: Child, exit: Exit): void {
    if (child.phase === 'stopping') return;
    failure(child.name, exitText(exit), child.logFile).then(this.#failed.reject, this.#failed.reject);
  }
}

/** Why a failed component has logged nothing, when the disk is full. */
async function emptyLog(logFile: string): Promise<string> {
  const { bavail, bsize } = await statfs(dirname(logFile));
  return bavail * bsize < LEAST_FREE_BYTES ? `\nthe disk of ${dirname(logFile)} is full` : '';
}

async function failure(name: string, what: string, logFile: string): Promise<IsthmusError> {
  const lines = await lastLines(logFile);
  const log = lines === '' ? await emptyLog(logFile) : `\nthe last lines of ${logFile}:\n${lines}`;
  return new IsthmusError('COMPONENT_FAILED', `${name} ${what}${log}`);
}
