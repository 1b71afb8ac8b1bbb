// The spool: the numbered, masked log of one ticket in an append-only file. A line's number is its position in the
// file, so it never changes. Each line also has the offset that the raw output is read to, so that after a restart of
// the agent no line is lost or repeated. Memory: one offset for every 256 lines or 256 KiB. Written and read
// synchronously, as the workspace is; only syncs are not.
import { appendFileSync, close, constants, fdatasync, fstatSync, ftruncateSync, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { openOwn } from '../../lib/files/private.ts';
import type { LineEnding__Output as LineEnding } from '../../proto/gen/isthmus/tentacle/v1/LineEnding.ts';

const dataSynced = promisify(fdatasync);
const closed = promisify(close);

export type LogStream = 'stdout' | 'stderr' | 'agent';

export interface SpooledLine {
  readonly stream: LogStream;
  readonly atMs: number;
  readonly text: string;
  readonly ending: LineEnding;
}

/** How far the spool has the raw output of a stream. */
export interface SourcePosition {
  readonly offset: number;
  /** The ending of the last line. */
  readonly last: LineEnding;
}

export interface NewLine extends SpooledLine {
  /** The offset in the raw output where the next line begins; undefined for a line of the agent's own. */
  readonly sourceEnd: number | undefined;
}

/** Where a line begins in the file, and how many lines are before it. */
interface IndexEntry {
  readonly lines: number;
  readonly offset: number;
}

const STREAMS: readonly LogStream[] = ['stdout', 'stderr', 'agent'];
const ENDINGS: readonly LineEnding[] = ['NEWLINE', 'RETURN', 'OPEN'];
/** One byte has both: the stream in its low bits, the ending above them. */
const ENDING_SHIFT = 6;
const STREAM_BITS = (1 << ENDING_SHIFT) - 1;
/** Text length (4), stream and ending (1), time (8), source offset (8). */
const HEADER_BYTES = 21;
/** A read skips at most so much before the line that it looks for. */
const PER_INDEX_ENTRY = { lines: 256, bytes: 256 * 1024 };
/** The least that a line counts in the quota: empty lines cost the disk and the server something, too. */
const SHORTEST_COUNTED_BYTES = 16;
const READ_BYTES = 256 * 1024;

export class Spool {
  readonly #file: number;
  #bytes = 0;
  #lines = 0;
  #countedBytes = 0;
  #overhang = false;
  readonly #index: IndexEntry[] = [];
  readonly #positions = new Map<LogStream, SourcePosition>();

  private constructor(file: number) {
    this.#file = file;
  }

  /** Opens or creates a spool; a line that was only half written is cut off. */
  static open(path: string): Spool {
    const spool = new Spool(openOwn(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT));
    spool.#load();
    return spool;
  }

  get lastLine(): number {
    return this.#lines;
  }

  /** How much of the quota the lines use; see `countedBytes`. */
  get countedBytes(): number {
    return this.#countedBytes;
  }

  /** The position at which to go on reading the raw output of a stream. */
  position(stream: LogStream): SourcePosition {
    return this.#positions.get(stream) ?? positionAfter(undefined);
  }

  /** Adds lines in one write; when the write fails, none is added. */
  append(lines: readonly NewLine[]): void {
    if (lines.length === 0) return;
    const records = lines.map(encodeLine);
    const bytes = Buffer.concat(records);
    if (this.#overhang) ftruncateSync(this.#file, this.#bytes);
    this.#overhang = true;
    try {
      appendFileSync(this.#file, bytes);
    } catch (error) {
      ftruncateSync(this.#file, this.#bytes);
      this.#overhang = false;
      throw error;
    }
    this.#overhang = false;
    lines.forEach((line, index) => this.#count(line, records[index]!.length));
  }

  /** Lines from `afterLine` + 1 on, as many as fit in `mostBytes` of text, but at least one if there is one. */
  read(afterLine: number, mostBytes: number): SpooledLine[] {
    const lines: SpooledLine[] = [];
    if (afterLine >= this.#lines) return lines;
    let { lines: number, offset } = this.#index.findLast((entry) => entry.lines <= afterLine)!;
    const end = this.#bytes;
    let taken = 0;
    while (offset < end) {
      const window = this.#readAt(offset, end);
      const used = eachRecord(window, (line, bytes) => {
        number += 1;
        if (number <= afterLine) return true;
        if (lines.length > 0 && taken + bytes - HEADER_BYTES > mostBytes) return false;
        taken += bytes - HEADER_BYTES;
        lines.push({ stream: line.stream, atMs: line.atMs, text: line.text, ending: line.ending });
        return true;
      });
      offset += used.bytes;
      if (used.stopped || used.bytes === 0) break;
    }
    return lines;
  }

  /** Makes the lines survive a power cut. */
  async sync(): Promise<void> {
    await dataSynced(this.#file);
  }

  async close(): Promise<void> {
    await closed(this.#file);
  }

  #load(): void {
    const { size } = fstatSync(this.#file);
    while (this.#bytes < size) {
      const window = this.#readAt(this.#bytes, size);
      const used = eachRecord(window, (line, bytes) => {
        this.#count(line, bytes);
        return true;
      });
      if (used.bytes === 0) break;
    }
    if (this.#bytes < size) ftruncateSync(this.#file, this.#bytes);
  }

  #readAt(offset: number, end: number): Buffer {
    const window = Buffer.allocUnsafe(Math.min(READ_BYTES, end - offset));
    const bytesRead = readSync(this.#file, window, 0, window.length, offset);
    return window.subarray(0, bytesRead);
  }

  #count(line: NewLine, bytes: number): void {
    const last = this.#index.at(-1);
    const isFar =
      last === undefined ||
      this.#lines - last.lines >= PER_INDEX_ENTRY.lines ||
      this.#bytes - last.offset >= PER_INDEX_ENTRY.bytes;
    if (isFar) this.#index.push({ lines: this.#lines, offset: this.#bytes });
    this.#lines += 1;
    this.#bytes += bytes;
    this.#countedBytes += countedBytes(bytes - HEADER_BYTES);
    if (line.sourceEnd !== undefined) this.#positions.set(line.stream, positionAfter(line));
  }
}

/** How much of the quota a line with this many bytes of text uses. */
export function countedBytes(textBytes: number): number {
  return Math.max(SHORTEST_COUNTED_BYTES, textBytes);
}

/** A line of the agent's own. */
export function agentLine(text: string): NewLine {
  return { stream: 'agent', atMs: Date.now(), text, ending: 'NEWLINE', sourceEnd: undefined };
}

/** Where reading goes on after the last line of a stream; undefined when there is none. */
export function positionAfter(line: NewLine | undefined): SourcePosition {
  return { offset: line?.sourceEnd ?? 0, last: line?.ending ?? 'NEWLINE' };
}

function encodeLine(line: NewLine): Buffer {
  const text = Buffer.from(line.text);
  const record = Buffer.allocUnsafe(HEADER_BYTES + text.length);
  record.writeUInt32BE(text.length, 0);
  record.writeUInt8(STREAMS.indexOf(line.stream) | (ENDINGS.indexOf(line.ending) << ENDING_SHIFT), 4);
  record.writeDoubleBE(line.atMs, 5);
  record.writeDoubleBE(line.sourceEnd ?? -1, 13);
  text.copy(record, HEADER_BYTES);
  return record;
}

/** Calls `take` for each whole record in `window`, until it returns false. */
function eachRecord(
  window: Buffer,
  take: (line: NewLine, bytes: number) => boolean,
): { readonly bytes: number; readonly stopped: boolean } {
  let offset = 0;
  while (offset + HEADER_BYTES <= window.length) {
    const length = window.readUInt32BE(offset);
    const flags = window.readUInt8(offset + 4);
    const atMs = window.readDoubleBE(offset + 5);
    const end = offset + HEADER_BYTES + length;
    const stream = STREAMS[flags & STREAM_BITS];
    const ending = ENDINGS[flags >> ENDING_SHIFT];
    // A time of 0 is a hole that a power cut left where a record should be.
    if (end > window.length || stream === undefined || ending === undefined || atMs === 0) break;
    const sourceOffset = window.readDoubleBE(offset + 13);
    const sourceEnd = sourceOffset < 0 ? undefined : sourceOffset;
    const text = window.toString('utf8', offset + HEADER_BYTES, end);
    if (!take({ stream, atMs, text, ending, sourceEnd }, end - offset)) return { bytes: offset, stopped: true };
    offset = end;
  }
  return { bytes: offset, stopped: false };
}
