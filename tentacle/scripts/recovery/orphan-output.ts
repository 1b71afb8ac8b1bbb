// The output of scripts that have ended, while a process that they left behind still has it open. Such a process may
// live on: it may be what was deployed. But nobody reads what it prints, and removing the file would only hide it: the
// disk would fill until its last writer ends. So it is looked for, and its output is cut away whenever it has grown.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { pause } from '../../../lib/async/waiting.ts';
import { cutAbove, isOpen, openFilesOf, type OpenFile } from '../workspace/open-files.ts';
import { pids } from '../launch/child-process.ts';

const LOOK_EVERY_MS = 1000;
/** Looking through all processes takes a hundredth of a core, however many scripts end. */
const REST_PER_COST = 100;
/** Unless it would rest for longer than this: a process that prints fills a disk meanwhile. */
const LONGEST_REST_MS = 5_000;
const MOST_BYTES = 1024 * 1024;

/** How long to rest after a look that took so much processor time. */
export function restAfterMs(costMs: number): number {
  return Math.min(costMs * REST_PER_COST, LONGEST_REST_MS);
}

interface OrphanOutputOptions {
  /** A real path, below which all output is. */
  readonly folder: string;
  /** Whether a file below it is output that nobody will read. */
  readonly isLeftover: (path: string) => boolean;
  readonly log: Logger;
}

export class OrphanOutput {
  readonly #options: OrphanOutputOptions;
  readonly #stopping = new AbortController();
  #due = false;
  #held: readonly OpenFile[] = [];
  #restUntilMs = 0;
  #running: Promise<void> | undefined;

  constructor(options: OrphanOutputOptions) {
    this.#options = options;
  }

  /** A script has ended, or may have while the agent did not run. */
  look(): void {
    this.#due = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Between the last look and here, somebody may have asked.
      if (this.#due && !this.#stopping.signal.aborted) this.look();
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#due || this.#held.length > 0) {
      await pause(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      if (this.#due && performance.now() >= this.#restUntilMs) await this.#lookAtAll();
      for (const file of this.#held) this.#cut(file);
    }
  }

  /** In turns: a machine may have thousands of processes. */
  async #lookAtAll(): Promise<void> {
    const { folder, isLeftover, log } = this.#options;
    this.#due = false;
    const found: OpenFile[] = [];
    // Processor time, since on a busy machine a look takes longer than it costs.
    let costUs = 0;
    for (const pid of pids()) {
      const begun = process.threadCpuUsage();
      if (pid !== process.pid) found.push(...openFilesOf(pid, folder).filter(({ path }) => isLeftover(path)));
      const { user, system } = process.threadCpuUsage(begun);
      costUs += user + system;
      await nextTurn();
      if (this.#stopping.signal.aborted) return;
    }
    this.#restUntilMs = performance.now() + restAfterMs(costUs / 1000);
    const known = new Set(this.#held.map(({ pid }) => pid));
    for (const pid of new Set(found.map((file) => file.pid)).difference(known)) {
      log.warn({ pid }, 'a process outlives its script; what it prints is thrown away');
    }
    this.#held = found;
  }

  #cut(file: OpenFile): void {
    try {
      // Whoever else has it is found with the next look, also under the name that it has by then.
      if (isOpen(file)) cutAbove(file, MOST_BYTES);
      else this.#due = true;
    } catch (error) {
      if (isOpen(file)) this.#options.log.warn({ err: error, pid: file.pid }, 'its output cannot be cut');
    }
  }
}
