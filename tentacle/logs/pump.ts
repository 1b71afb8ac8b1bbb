// Pumps a script's raw output into its spool while the script runs: stdout and stderr, masked, line by line. Bounded:
// one read at a time; a text quota per ticket, after which the script runs on and its output is dropped; while the disk
// is full nothing is read, and the log then says that output may be missing.
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Masker } from '../../lib/masking/masker.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { isDiskFull, isShortage, reasonOf } from '../system-errors.ts';
import type { CutLine } from './line-cutter.ts';
import { RawOutput } from './raw-output.ts';
import { agentLine, countedBytes, type LogStream, type NewLine } from './spool.ts';
import type { TicketLog } from './ticket-log.ts';

/** The files are also read without a notification from the system: notifications can be lost. */
const POLL_MS = 250;
/** A script that ends within this needs no file watch. */
const WATCH_AFTER_MS = 25;
/** The interval when the system gives no notifications at all. */
const POLL_WITHOUT_WATCH_MS = 20;
/** Below this much free disk a script's own writes may already have failed. */
const FULL_BELOW_BYTES = 64 * 1024;
const RETRY_MS = 200;
/** The output of a script that has ended is given up when it cannot be read for this long. */
const LAST_READ_MS = 60_000;

export interface PumpPaths {
  readonly stdout: string;
  readonly stderr: string;
}

interface PumpOptions {
  readonly spool: TicketLog;
  readonly paths: PumpPaths;
  /** Undefined when the sensitive values cannot be read: then no line of the output is logged. */
  readonly masker: Masker | undefined;
  readonly quotaBytes: number;
  readonly onLines: () => void;
  readonly log: Logger;
}

interface Source {
  readonly stream: LogStream;
  readonly output: RawOutput;
}

export class LogPump {
  readonly #options: PumpOptions;
  readonly #sources: Source[] = [];
  #discarding = false;
  #diskWasFull = false;
  #checkedDiskMs = 0;
  #wake: () => void = () => undefined;
  #stopped = false;
  /** The agent stops: no longer wait for room on the disk. */
  #abandoned = false;
  readonly #running: Promise<void>;

  /** Begins to read. */
  constructor(options: PumpOptions) {
    this.#options = options;
    this.#discarding = options.spool.countedBytes >= options.quotaBytes;
    this.#running = this.#run().catch((error: unknown) => this.#giveUp(error));
  }

  /** Adds a line of the agent's own; waits while the disk is full. */
  async note(text: string): Promise<void> {
    await this.#append([agentLine(text)]);
  }

  /** The script has ended: reads the rest. `truncated` when it may have been killed in the middle of a line. */
  async finish(truncated: boolean): Promise<void> {
    await this.#halt();
    try {
      await this.#readRest();
      await this.#noteFullDisk();
      if (!this.#discarding) {
        for (const { stream, output } of this.#sources) await this.#take(stream, output.end(truncated));
      }
    } catch (error) {
      if (this.#abandoned) throw error;
      await this.#giveUp(error);
    }
    this.#close();
  }

  /** No longer wait for room on the disk. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** The agent stops and the script runs on. */
  async stop(): Promise<void> {
    this.abandon();
    await this.#halt();
    this.#close();
  }

  /** A log that cannot be read or written must not lose the script's end; but the log must say so. */
  async #giveUp(error: unknown): Promise<void> {
    if (this.#abandoned) return;
    this.#discarding = true;
    try {
      await this.note(`the log ends here: the output cannot be read or kept (${reasonOf(error)})`);
    } catch (second) {
      this.#options.log.error({ err: second, reason: error }, 'the end of a log cannot be written');
    }
  }

  async #halt(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  #close(): void {
    for (const { output } of this.#sources.splice(0)) output.close();
  }

  async #run(): Promise<void> {
    if (this.#options.masker === undefined) {
      this.#discarding = true;
      await this.note('MASK_UNREADABLE: the sensitive values cannot be read, so no line of this log is shown');
    }
    let interval = WATCH_AFTER_MS;
    while (!this.#stopped) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await this.#unlessShort(async () => {
        this.#open();
        while (!this.#stopped && (await this.#readOnce()));
        await this.#checkDisk();
      });
      if (this.#stopped) return;
      const timer = setTimeout(this.#wake, interval);
      await woken;
      clearTimeout(timer);
      const watched = this.#sources.map(({ output }) => output.watch(() => this.#wake()));
      interval = watched.every(Boolean) ? POLL_MS : POLL_WITHOUT_WATCH_MS;
    }
  }

  async #readRest(): Promise<void> {
    const untilMs = performance.now() + LAST_READ_MS;
    const read = async (): Promise<void> => {
      if (!this.#discarding) this.#open();
      while (await this.#readOnce());
    };
    while (!(await this.#unlessShort(read, untilMs))) await delay(RETRY_MS);
  }

  /** False when a shortage kept `work` from being done: the output stays in its files, to be read later. */
  async #unlessShort(work: () => Promise<void>, untilMs = Infinity): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!isShortage(error) || this.#abandoned || performance.now() >= untilMs) throw error;
      return false;
    }
  }

  /** Opens the files that are not open yet. */
  #open(): void {
    const { spool, paths, masker = WITHHOLD_ALL } = this.#options;
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#sources.some((source) => source.stream === stream)) continue;
      this.#sources.push({ stream, output: RawOutput.open(paths[stream], masker, spool.position(stream)) });
    }
  }

  /** Reads one chunk of each stream; false when there was nothing. */
  async #readOnce(): Promise<boolean> {
    let found = false;
    for (const { stream, output } of this.#sources) {
      if (this.#discarding) {
        output.discard();
        continue;
      }
      const lines = output.next();
      if (lines !== undefined) found = true;
      await this.#take(stream, [...(lines ?? []), ...output.overdue()]);
      if (lines === undefined) continue;
      // Raw output that is read but cannot be freed on the disk counts, too.
      if (output.heldBytes > this.#options.quotaBytes * 4) await this.#stopKeeping([]);
    }
    return found;
  }

  async #take(stream: LogStream, cut: readonly CutLine[]): Promise<void> {
    if (cut.length === 0 || this.#discarding) return;
    const { spool, quotaBytes } = this.#options;
    const atMs = Date.now();
    const kept: NewLine[] = [];
    let bytes = spool.countedBytes;
    for (const line of cut) {
      bytes += countedBytes(Buffer.byteLength(line.text));
      if (bytes > quotaBytes) return this.#stopKeeping(kept);
      kept.push({ ...line, stream, atMs });
    }
    await this.#append(kept);
  }

  async #stopKeeping(last: readonly NewLine[]): Promise<void> {
    this.#discarding = true;
    const text = `the log has reached its quota of ${this.#options.quotaBytes} bytes: the script runs on, its later output is not kept`;
    await this.#append([...last, agentLine(text)]);
  }

  async #append(lines: readonly NewLine[]): Promise<void> {
    for (;;) {
      try {
        this.#options.spool.append(lines);
        break;
      } catch (error) {
        if (!(isDiskFull(error) || isShortage(error)) || this.#abandoned) throw error;
        if (isDiskFull(error)) this.#diskWasFull = true;
        await delay(RETRY_MS);
      }
    }
    this.#options.onLines();
  }

  /** Output that a script failed to write is not visible, but that the disk was full is, and goes into the log. */
  async #checkDisk(): Promise<void> {
    if (performance.now() - this.#checkedDiskMs < POLL_MS) return;
    this.#checkedDiskMs = performance.now();
    const { bavail, bsize } = statfsSync(dirname(this.#options.paths.stdout));
    if (bavail * bsize < FULL_BELOW_BYTES) this.#diskWasFull = true;
    else await this.#noteFullDisk();
  }

  async #noteFullDisk(): Promise<void> {
    if (!this.#diskWasFull) return;
    this.#diskWasFull = false;
    await this.note('DISK_FULL: the disk was full; output of the script may be missing before this line');
  }
}

const WITHHOLD_ALL: Masker = {
  mask: () => '',
  lines: () => ({ next: () => '' }),
  stream: () => ({
    push: () => Buffer.alloc(0),
    end: () => Buffer.alloc(0),
    pushPieces: () => [],
    endPieces: () => [],
    heldBytes: 0,
  }),
};
