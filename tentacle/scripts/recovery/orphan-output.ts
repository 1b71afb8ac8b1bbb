// Truncates the output of scripts that have ended, while a process they left behind still has it open. The process may
// live on: it may be what was deployed. But nobody reads its output, and removing the file would only hide the growth:
// the disk would fill until the last writer ends. So such processes are looked for, and their output is truncated.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { attempted } from '../../../lib/async/background.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { pause } from '../../../lib/async/waiting.ts';
import { cutAbove, isOpen, openFilesOf, type OpenFile } from '../workspace/open-files.ts';
import { pids } from '../launch/child-process.ts';

const LOOK_EVERY_MS = 1000;
/** Scanning all processes may take a hundredth of a core, however many scripts end. */
const REST_PER_COST = 100;
/** The longest rest: a process that prints fills a disk meanwhile. */
const LONGEST_REST_MS = 5_000;
const MOST_BYTES = 1024 * 1024;

/** How long to rest after a scan that took `costMs` of processor time. */
export function restAfterMs(costMs: number): number {
  return Math.min(costMs * REST_PER_COST, LONGEST_REST_MS);
}

interface OrphanOutputOptions {
  /** The real path of the folder that holds all output. */
  readonly folder: string;
  /** Whether a file in it is output that nobody will read. */
  readonly isOrphan: (path: string) => boolean;
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

  /** Schedules a scan: a script has ended, or may have while no agent ran. */
  look(): void {
    this.#due = true;
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stopping;
    while (this.#due || this.#held.length > 0) {
      await pause(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      await attempted('output.orphans', log, () => this.#scan());
    }
    this.#running = undefined;
  }

  async #scan(): Promise<void> {
    try {
      if (this.#due && performance.now() >= this.#restUntilMs) await this.#scanAll();
      for (const file of this.#held) this.#cut(file);
    } catch (error) {
      this.#due = true;
      throw error;
    }
  }

  /** Yields between processes: a machine may have thousands. */
  async #scanAll(): Promise<void> {
    const { folder, isOrphan, log } = this.#options;
    const running = pids();
    this.#due = false;
    const found: OpenFile[] = [];
    // Processor time: on a busy machine the wall time of a scan exceeds its cost.
    let costUs = 0;
    for (const pid of running) {
      const begun = process.threadCpuUsage();
      if (pid !== process.pid) found.push(...openFilesOf(pid, folder).filter(({ path }) => isOrphan(path)));
      const { user, system } = process.threadCpuUsage(begun);
      costUs += user + system;
      await nextTurn();
      if (this.#stopping.signal.aborted) return;
    }
    this.#restUntilMs = performance.now() + restAfterMs(costUs / 1000);
    const known = new Set(this.#held.map(({ pid }) => pid));
    for (const pid of new Set(found.map((file) => file.pid)).difference(known)) {
      log.warn({ pid }, 'a process outlives its script; its output is discarded');
    }
    this.#held = found;
  }

  #cut(file: OpenFile): void {
    try {
      // When it is closed or was renamed, the next scan finds other writers, under the present name.
      if (isOpen(file)) cutAbove(file, MOST_BYTES);
      else this.#due = true;
    } catch (error) {
      if (isOpen(file)) this.#options.log.warn({ err: error, pid: file.pid }, 'orphaned output cannot be truncated');
    }
  }
}
