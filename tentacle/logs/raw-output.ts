// Reads a raw output file of a script as it grows, masks it and cuts it into lines. After a restart of the agent it
// goes on where the spool ends; the masker first reads the output before that, to get back into the state it had. The
// file is read synchronously: fresh output is in memory, and a trip through the thread pool would cost more.
import { execFile } from 'node:child_process';
import { closeSync, constants, fstatSync, ftruncateSync, readSync, watch, type FSWatcher } from 'node:fs';
import { openOwn } from '../../lib/files/private.ts';
import type { MaskedPiece, Masker, MaskStream } from '../../lib/masking/masker.ts';
import { isShortage } from '../system-errors.ts';
import { LineCutter, type CutLine } from './line-cutter.ts';
import type { SourcePosition } from './spool.ts';

const READ_BYTES = 256 * 1024;
/** Shared by all: each chunk is masked and cut at once, and nothing keeps a window on it. */
const buffer = Buffer.allocUnsafe(READ_BYTES);
/** Longer than any likely form of a sensitive value that crosses the offset where reading goes on. */
const PRIME_BYTES = 128 * 1024;
/** Output that is no longer needed is freed on the disk in steps of this size. */
const PUNCH_EVERY_BYTES = 32 * 1024 * 1024;
/** Output that nobody will read is truncated when it exceeds this. */
const TRUNCATE_ABOVE_BYTES = 1024 * 1024;
/** A line that has not ended is given out in part after this: a prompt, or progress that is written over. */
const FLUSH_AFTER_MS = 1_000;

export class RawOutput {
  readonly #path: string;
  readonly #file: number;
  #watcher: FSWatcher | undefined;
  readonly #stream: MaskStream;
  readonly #cutter: LineCutter;
  readonly #from: number;
  #offset: number;
  #unfinishedSinceMs = 0;
  #punchedTo = 0;
  #canPunch = true;

  private constructor(path: string, file: number, masker: Masker, position: SourcePosition) {
    this.#path = path;
    this.#file = file;
    this.#stream = masker.stream();
    this.#from = position.offset;
    const sourceOffset = Math.max(0, position.offset - PRIME_BYTES);
    this.#offset = sourceOffset;
    this.#cutter = new LineCutter({ sourceOffset, last: position.last });
  }

  static open(path: string, masker: Masker, position: SourcePosition): RawOutput {
    const output = new RawOutput(
      path,
      openOwn(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT),
      masker,
      position,
    );
    try {
      while (output.#offset < output.#from) {
        if (output.#read(output.#from - output.#offset) === undefined) break;
      }
    } catch (error) {
      output.close();
      throw error;
    }
    return output;
  }

  /** Calls back when there is more. False when the system has no file watch left: the caller must then poll often. */
  watch(onChange: () => void): boolean {
    this.#watcher ??= watchOrPoll(this.#path, onChange);
    return this.#watcher !== undefined;
  }

  /** Bytes of raw output that use disk. */
  get heldBytes(): number {
    return this.#offset - this.#punchedTo;
  }

  /** The lines of the next chunk; undefined when there is no more at present. */
  next(): CutLine[] | undefined {
    // Only now: the caller keeps the lines that were given out before.
    this.#freeDisk();
    const pieces = this.#read(READ_BYTES);
    if (pieces === undefined) return undefined;
    const wasUnfinished = this.#cutter.unfinished;
    const lines = this.#cutter.push(pieces);
    if (lines.length > 0 || !wasUnfinished) this.#unfinishedSinceMs = performance.now();
    return lines;
  }

  /** What stands of a line that has not ended for a while. What the masker may still need is held back. */
  overdue(): CutLine[] {
    if (!this.#cutter.unfinished) return [];
    const nowMs = performance.now();
    // Where much was overwritten, what stands moves the offset from which the output is still needed.
    const muchRead = this.#offset - this.#cutter.neededFrom > PUNCH_EVERY_BYTES;
    if (nowMs - this.#unfinishedSinceMs < FLUSH_AFTER_MS && !muchRead) return [];
    this.#unfinishedSinceMs = nowMs;
    return this.#cutter.flush();
  }

  /** The rest, when the script has ended; `truncated` when it may have been killed in the middle of a value. */
  end(truncated: boolean): CutLine[] {
    const lines = this.#cutter.push(this.#clip(this.#stream.endPieces({ truncated })));
    return [...lines, ...this.#cutter.end(this.#offset)];
  }

  /** Keeps a file small that nobody reads. The script appends, so truncating is safe at any moment. */
  discard(): void {
    const { size } = fstatSync(this.#file);
    if (size > TRUNCATE_ABOVE_BYTES) ftruncateSync(this.#file, 0);
  }

  close(): void {
    this.#watcher?.close();
    closeSync(this.#file);
  }

  #read(most: number): MaskedPiece[] | undefined {
    const bytesRead = readSync(this.#file, buffer, 0, Math.min(most, READ_BYTES), this.#offset);
    if (bytesRead === 0) return undefined;
    this.#offset += bytesRead;
    return this.#clip(this.#stream.pushPieces(buffer.subarray(0, bytesRead)));
  }

  /** Removes what the spool has already. */
  #clip(pieces: readonly MaskedPiece[]): MaskedPiece[] {
    const alreadyThere = this.#from - Math.max(0, this.#from - PRIME_BYTES);
    if (alreadyThere === 0) return [...pieces];
    return pieces.flatMap((piece) => {
      const over = alreadyThere - piece.sourceStart;
      if (over <= 0) return [piece];
      if (piece.masked || over >= piece.bytes.length) return [];
      return [{ ...piece, bytes: piece.bytes.subarray(over), sourceStart: alreadyThere }];
    });
  }

  /** Punches a hole where output is no longer needed. On a file system without holes the caller's limit applies. */
  #freeDisk(): void {
    const unneededTo = Math.max(0, this.#cutter.neededFrom - PRIME_BYTES);
    if (!this.#canPunch || unneededTo - this.#punchedTo < PUNCH_EVERY_BYTES) return;
    this.#punchedTo = unneededTo;
    const range = ['--punch-hole', '--offset', '0', '--length', String(unneededTo)];
    const punched = (error: unknown): void => {
      if (error === null) return;
      this.#canPunch = isShortage(error);
      this.#punchedTo = 0;
    };
    try {
      execFile('fallocate', [...range, this.#path], punched);
    } catch (error) {
      // Without memory for another process it is not even begun.
      punched(error);
    }
  }
}

function watchOrPoll(path: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
