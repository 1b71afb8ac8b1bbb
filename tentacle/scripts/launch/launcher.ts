// The agent's side of the launcher (launcher-process.ts): starts it with the first script, and again when it was lost.
// Scripts of a lost or earlier launcher run on; their ends are then found in /proc.
import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { ErrorCode } from '../../../contract/errors.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { errnoOf } from '../../../lib/files/disk-space.ts';
import { programPath } from '../../../lib/software.ts';
import { isDiskFullCode, reasonOf } from '../../system-errors.ts';
import type { StartedChildProcess } from './exit-file.ts';

export interface LaunchRequest {
  /** The claim: created by the launcher, unless somebody else has it already. */
  readonly stdout: string;
  readonly stderr: string;
  /** Created by the agent; see exit-file.ts. */
  readonly exit: string;
  readonly workingFolder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** One line to the launcher. */
export type LaunchOrder = LaunchRequest & { readonly id: number };

/** One line from it. */
export type LaunchEvent =
  | ({ readonly id: number; readonly kind: 'started' } & StartedChildProcess)
  | { readonly id: number; readonly kind: 'rejected'; readonly code: string; readonly detail: string }
  /** Its exit file now tells how it ended, if anything ever does. */
  | { readonly id: number; readonly kind: 'exited' };

export type Launch =
  | {
      readonly kind: 'started';
      readonly childProcess: StartedChildProcess;
      /** Resolves when the launcher reports its end, or is lost. */
      readonly exited: Promise<void>;
    }
  /** It certainly does not run. */
  | { readonly kind: 'rejected'; readonly code: ErrorCode; readonly detail: string }
  /** The launcher was lost: the claim decides whether the script started. */
  | { readonly kind: 'lost' };

interface Launching {
  readonly started: PromiseWithResolvers<Launch>;
  readonly exited: PromiseWithResolvers<void>;
}

const PROGRAM = programPath('tentacle/scripts/launch/launcher-process');
/** It does little: the less memory it has, the less each fork costs. */
const OPTIONS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', '--v8-pool-size=1'];

export class Launcher {
  readonly #log: Logger;
  #running: ChildProcess | undefined;
  readonly #open = new Map<number, Launching>();
  #orders = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Starts one script. `starting` must be on the disk by now. */
  start(request: LaunchRequest): Promise<Launch> {
    try {
      this.#running ??= this.#run();
    } catch (error) {
      return Promise.resolve(rejected(errnoOf(error) ?? '', reasonOf(error)));
    }
    this.#orders += 1;
    const id = this.#orders;
    const launching: Launching = { started: Promise.withResolvers(), exited: Promise.withResolvers() };
    this.#open.set(id, launching);
    this.#running.stdin!.write(`${JSON.stringify({ id, ...request } satisfies LaunchOrder)}\n`);
    return launching.started.promise;
  }

  /** Lets go of the launcher, which ends with its last script. */
  stop(): void {
    if (this.#running !== undefined) this.#letGo(this.#running);
  }

  #run(): ChildProcess {
    // In its own group, folder and env, since it outlives the agent.
    const spawned = spawn(process.execPath, [...OPTIONS, PROGRAM], {
      ...{ detached: true, cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'ignore'] },
    });
    const lost = (reason: unknown): void => {
      if (this.#running !== spawned) return;
      this.#log.error({ reason }, 'the script launcher was lost');
      this.#letGo(spawned);
    };
    spawned.once('error', lost);
    // Without descriptors Node makes no pipes, and reports the failure only later.
    if (!('stdin' in spawned)) throw new Error('too many files are open');
    spawned.stdin.on('error', lost);
    spawned.stdout.once('close', () => lost('its standard output was closed'));
    createInterface({ input: spawned.stdout }).on('line', (line) => {
      if (this.#running !== spawned) return;
      try {
        this.#take(JSON.parse(line) as LaunchEvent);
      } catch (error) {
        lost(error);
      }
    });
    for (const each of [spawned, spawned.stdin as Socket, spawned.stdout as Socket]) each.unref();
    return spawned;
  }

  #letGo(child: ChildProcess): void {
    this.#running = undefined;
    child.stdin!.end();
    child.stdout!.destroy();
    for (const { started, exited } of this.#open.values()) {
      started.resolve({ kind: 'lost' });
      exited.resolve();
    }
    this.#open.clear();
  }

  #take(event: LaunchEvent): void {
    const launching = this.#open.get(event.id);
    if (launching === undefined) return;
    const { started, exited } = launching;
    if (event.kind === 'started') {
      const { pid, startTicks } = event;
      started.resolve({ kind: 'started', childProcess: { pid, startTicks }, exited: exited.promise });
      return;
    }
    this.#open.delete(event.id);
    if (event.kind === 'exited') exited.resolve();
    else {
      started.resolve(rejected(event.code, event.detail));
    }
  }
}

function rejected(errno: string, detail: string): Launch {
  const code = isDiskFullCode(errno) ? 'DISK_FULL' : 'SPAWN_FAILED';
  return { kind: 'rejected', code, detail: `the script could not be started: ${detail}` };
}
