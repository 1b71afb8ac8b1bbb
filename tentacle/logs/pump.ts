// Brings a script's raw output into its spool, for as long as the script runs: stdout and stderr, masked, line by line.
// Bounded: one read at a time; a quota of text per ticket, past which the script runs on and its output is dropped;
// while the disk is full nothing is read, and the log says that something may be missing.
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Masker } from '../../lib/masking/masker.ts';
import { isDiskFull } from '../disk-errors.ts';
import type { CutLine } from './line-cutter.ts';
import { RawOutput } from './raw-output.ts';
import { countedBytes, type LogStream, type NewLine } from './spool.ts';
import type { TicketLog } from './ticket-log.ts';

/** A look at the files also without a hint from the system: hints can be lost. */
const POLL_MS = 250;
/** A script that ends within this is not worth a watch: its end is a hint, too. */
const WATCH_AFTER_MS = 25;
/** When the system gives no hints at all. */
const POLL_WITHOUT_WATCH_MS = 20;
/** Below this much free disk a script's own writes may already have failed. */
const FULL_BELOW_BYTES = 64 * 1024;
const RETRY_FULL_DISK_MS = 200;

export interface PumpPaths {
  readonly stdout: string;
  readonly stderr: string;
}

interface PumpOptions {
  readonly spool: TicketLog;
  readonly paths: PumpPaths;
  /** Undefined when what to mask cannot be read: then no line leaves. */
  readonly masker: Masker | undefined;
  readonly quotaBytes: number;
  readonly onLines: () => void;
}

interface Source {
  readonly stream: LogStream;
  readonly output: RawOutput;
}

export class LogPump {
  readonly #options: PumpOptions;
  #sources: readonly Source[] = [];
  #discarding = false;
  #diskWasFull = false;
  #lookedAtDiskMs = 0;
  #wake: () => void = () => undefined;
  #stopped = false;
  /** The agent stops: a full disk is not waited for. */
  #abandoned = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(options: PumpOptions) {
    this.#options = options;
  }

  static async start(options: PumpOptions): Promise<LogPump> {
    const pump = new LogPump(options);
    const { spool, paths, masker, quotaBytes } = options;
    pump.#discarding = spool.countedBytes >= quotaBytes;
    if (masker === undefined) {
      pump.#discarding = true;
      await pump.note('MASK_UNREADABLE: what to mask in this log cannot be read, so no line of it is shown');
    }
    const reader = masker ?? withheld;
    const open = (stream: 'stdout' | 'stderr'): Source => ({
      stream,
      output: RawOutput.open(paths[stream], reader, spool.position(stream)),
    });
    pump.#sources = [open('stdout'), open('stderr')];
    pump.#running = pump.#run().catch((error: unknown) => pump.#giveUp(error));
    return pump;
  }

  /** Adds a line of the agent's own; waits while the disk is full. */
  async note(text: string): Promise<void> {
    await this.#append([{ stream: 'agent', atMs: Date.now(), text, source: undefined }]);
  }

  /** The script has ended: takes what is left. `truncated` when it may have been killed in the middle of a line. */
  async finish(truncated: boolean): Promise<void> {
    await this.#halt();
    try {
      while (await this.#pass());
      await this.#tellOfFullDisk();
      if (!this.#discarding) {
        for (const { stream, output } of this.#sources) await this.#take(stream, output.end(truncated));
      }
    } catch (error) {
      if (this.#abandoned) throw error;
      await this.#giveUp(error);
    }
    await this.#close();
  }

  /** A full disk is no longer waited for. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** The agent stops and the script goes on. */
  async stop(): Promise<void> {
    this.abandon();
    await this.#halt();
    await this.#close();
  }

  /** A log that cannot be read or kept must not take the script's end with it; but it must say so. */
  async #giveUp(error: unknown): Promise<void> {
    if (this.#abandoned) return;
    this.#discarding = true;
    const reason = error instanceof Error ? error.message : String(error);
    await this.note(`the log ends here: it cannot be kept (${reason})`);
  }

  async #halt(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  async #close(): Promise<void> {
    const sources = this.#sources;
    this.#sources = [];
    for (const { output } of sources) output.close();
  }

  async #run(): Promise<void> {
    let interval = WATCH_AFTER_MS;
    while (!this.#stopped) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      while (!this.#stopped && (await this.#pass()));
      await this.#lookAtDisk();
      if (this.#stopped) return;
      const timer = setTimeout(this.#wake, interval);
      await woken;
      clearTimeout(timer);
      const watched = this.#sources.map(({ output }) => output.watch(() => this.#wake()));
      interval = watched.every(Boolean) ? POLL_MS : POLL_WITHOUT_WATCH_MS;
    }
  }

  /** One stretch of each stream; false when there was nothing. */
  async #pass(): Promise<boolean> {
    let found = false;
    for (const { stream, output } of this.#sources) {
      if (this.#discarding) {
        output.discard();
        continue;
      }
      const lines = output.next();
      if (lines === undefined) continue;
      found = true;
      await this.#take(stream, lines);
      // Where used-up output cannot be given back to the disk, it counts.
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
    for (const { text, sourceEnd, cut: dropping } of cut) {
      bytes += countedBytes(Buffer.byteLength(text));
      if (bytes > quotaBytes) return this.#stopKeeping(kept);
      kept.push({ stream, atMs, text, source: { offset: sourceEnd, dropping } });
    }
    await this.#append(kept);
  }

  async #stopKeeping(last: readonly NewLine[]): Promise<void> {
    this.#discarding = true;
    const text = `the log has reached its quota of ${this.#options.quotaBytes} bytes: the script runs on, its later output is not kept`;
    await this.#append([...last, { stream: 'agent', atMs: Date.now(), text, source: undefined }]);
  }

  async #append(lines: readonly NewLine[]): Promise<void> {
    for (;;) {
      try {
        this.#options.spool.append(lines);
        break;
      } catch (error) {
        if (!isDiskFull(error) || this.#abandoned) throw error;
        this.#diskWasFull = true;
        await delay(RETRY_FULL_DISK_MS);
      }
    }
    this.#options.onLines();
  }

  /** What a script failed to write on a full disk nobody can see; that the disk was full can be seen and told. */
  async #lookAtDisk(): Promise<void> {
    if (Date.now() - this.#lookedAtDiskMs < POLL_MS) return;
    this.#lookedAtDiskMs = Date.now();
    const { bavail, bsize } = statfsSync(dirname(this.#options.paths.stdout));
    if (bavail * bsize < FULL_BELOW_BYTES) this.#diskWasFull = true;
    else await this.#tellOfFullDisk();
  }

  async #tellOfFullDisk(): Promise<void> {
    if (!this.#diskWasFull) return;
    this.#diskWasFull = false;
    await this.note('DISK_FULL: the disk was full; output of the script may be missing before this line');
  }
}

const withheld: Masker = {
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
