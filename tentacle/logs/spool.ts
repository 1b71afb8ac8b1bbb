// The spool: the numbered, masked log of one ticket in an append-only file. A line's number is its position in the
// file, so it never changes. Each line also has the offset that the raw output is read to, so that after a restart of
// the agent no line is lost or repeated. Memory: one offset for every 256 lines. Written and read synchronously, as the
// workspace is; only syncs are not.
import { appendFileSync, close, constants, fdatasync, fstatSync, ftruncateSync, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { openOwn } from '../../lib/files/private.ts';

const dataSynced = promisify(fdatasync);
const closed = promisify(close);

export type LogStream = 'stdout' | 'stderr' | 'agent';

export interface SpooledLine {
  readonly stream: LogStream;
  readonly atMs: number;
  readonly text: string;
}

/** How far the spool has the raw output of a stream. */
export interface SourcePosition {
  readonly offset: number;
  /** The rest of the present line is dropped, because it is too long. */
  readonly dropping: boolean;
}

export interface NewLine extends SpooledLine {
  /** Undefined for a line of the agent's own. */
  readonly source: SourcePosition | undefined;
}

const STREAMS: readonly LogStream[] = ['stdout', 'stderr', 'agent'];
const DROPPING_FLAG = 0x80;
/** Text length (4), stream and flag (1), time (8), source offset (8). */
const HEADER_BYTES = 21;
const LINES_PER_INDEX_ENTRY = 256;
/** The least that a line counts in the quota: empty lines cost the disk and the server something, too. */
const SHORTEST_COUNTED_BYTES = 16;
const READ_BYTES = 256 * 1024;

export class Spool {
  readonly #file: number;
  #bytes = 0;
  #lines = 0;
  #countedBytes = 0;
  #overhang = false;
  readonly #index: number[] = [];
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
    return this.#positions.get(stream) ?? { offset: 0, dropping: false };
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
    let number = Math.floor(afterLine / LINES_PER_INDEX_ENTRY) * LINES_PER_INDEX_ENTRY;
    let offset = this.#index[number / LINES_PER_INDEX_ENTRY]!;
    const end = this.#bytes;
    let taken = 0;
    while (offset < end) {
      const window = this.#readAt(offset, end);
      const used = eachRecord(window, (line, bytes) => {
        number += 1;
        if (number <= afterLine) return true;
        if (lines.length > 0 && taken + bytes - HEADER_BYTES > mostBytes) return false;
        taken += bytes - HEADER_BYTES;
        lines.push({ stream: line.stream, atMs: line.atMs, text: line.text });
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
    if (this.#lines % LINES_PER_INDEX_ENTRY === 0) this.#index.push(this.#bytes);
    this.#lines += 1;
    this.#bytes += bytes;
    this.#countedBytes += countedBytes(bytes - HEADER_BYTES);
    if (line.source !== undefined) this.#positions.set(line.stream, line.source);
  }
}

/** How much of the quota a line with this many bytes of text uses. */
export function countedBytes(textBytes: number): number {
  return Math.max(SHORTEST_COUNTED_BYTES, textBytes);
}

function encodeLine(line: NewLine): Buffer {
  const text = Buffer.from(line.text);
  const record = Buffer.allocUnsafe(HEADER_BYTES + text.length);
  record.writeUInt32BE(text.length, 0);
  record.writeUInt8(STREAMS.indexOf(line.stream) | (line.source?.dropping === true ? DROPPING_FLAG : 0), 4);
  record.writeDoubleBE(line.atMs, 5);
  record.writeDoubleBE(line.source?.offset ?? -1, 13);
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
    const stream = STREAMS[flags & ~DROPPING_FLAG];
    // A time of 0 is a hole that a power cut left where a record should be.
    if (end > window.length || stream === undefined || atMs === 0) break;
    const sourceOffset = window.readDoubleBE(offset + 13);
    const source = sourceOffset < 0 ? undefined : { offset: sourceOffset, dropping: (flags & DROPPING_FLAG) !== 0 };
    const text = window.toString('utf8', offset + HEADER_BYTES, end);
    if (!take({ stream, atMs, text, source }, end - offset)) return { bytes: offset, stopped: true };
    offset = end;
  }
  return { bytes: offset, stopped: false };
}
