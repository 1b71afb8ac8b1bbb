// The numbered, masked log of one ticket, wherever it is kept: a short one in the journal, which its end needs anyway,
// so that it costs neither a file nor a sync of its own; one that grows moves to a spool file, whole.
import { existsSync } from 'node:fs';
import { IsthmusError } from '../../contract/errors.ts';
import type { Journal } from '../journal/journal.ts';
import { countedBytes, Spool, type LogStream, type NewLine, type SourcePosition, type SpooledLine } from './spool.ts';

/** A log of more than this moves. Most scripts say less. */
const MOST_SHORT_BYTES = 4096;
const MOST_SHORT_LINES = 64;

export class TicketLog {
  readonly #journal: Journal;
  readonly #ticket: string;
  readonly #path: string;
  #spool: Spool | undefined;
  #shortBytes = 0;
  #closed = false;

  private constructor(journal: Journal, ticket: string, path: string) {
    this.#journal = journal;
    this.#ticket = ticket;
    this.#path = path;
    this.#shortBytes = bytesOf(this.#short);
  }

  /** Opens what there is of a ticket's log; `path` is where a long one is kept. */
  static open(journal: Journal, ticket: string, path: string): TicketLog {
    const log = new TicketLog(journal, ticket, path);
    if (existsSync(path)) log.#move();
    return log;
  }

  get lastLine(): number {
    return this.#spool?.lastLine ?? this.#short.length;
  }

  /** What the lines take of the quota. */
  get countedBytes(): number {
    return this.#spool?.countedBytes ?? this.#shortBytes;
  }

  /** Where to go on reading the raw output of a stream. */
  position(stream: LogStream): SourcePosition {
    if (this.#spool !== undefined) return this.#spool.position(stream);
    const last = this.#short.findLast((line) => line.stream === stream);
    return last?.source ?? { offset: 0, dropping: false };
  }

  /** Adds lines; when the disk refuses, nothing is added. */
  append(lines: readonly NewLine[]): void {
    if (lines.length === 0) return;
    const bytes = bytesOf(lines);
    const fits = this.#shortBytes + bytes <= MOST_SHORT_BYTES && this.#short.length + lines.length <= MOST_SHORT_LINES;
    if (this.#spool === undefined && !fits) this.#move();
    if (this.#spool !== undefined) {
      this.#spool.append(lines);
      return;
    }
    this.#journal.note({ kind: 'lines', ticket: this.#ticket, lines });
    this.#shortBytes += bytes;
  }

  /** Lines from `afterLine` + 1 on, as many as fit in `mostBytes` of text, but at least one if there is one. */
  read(afterLine: number, mostBytes: number): SpooledLine[] {
    if (this.#closed) throw new IsthmusError('TICKET_ALREADY_USED', `ticket ${this.#ticket} is completed`);
    if (this.#spool !== undefined) return this.#spool.read(afterLine, mostBytes);
    const lines: SpooledLine[] = [];
    let taken = 0;
    for (const { stream, atMs, text } of this.#short.slice(afterLine)) {
      taken += Buffer.byteLength(text);
      if (lines.length > 0 && taken > mostBytes) break;
      lines.push({ stream, atMs, text });
    }
    return lines;
  }

  /** Makes the lines survive a power cut; those of a short log do so with the next record that has to. */
  async sync(): Promise<void> {
    await this.#spool?.sync();
  }

  /** Whoever still reads it is told that the ticket is completed. */
  async close(): Promise<void> {
    this.#closed = true;
    const spool = this.#spool;
    this.#spool = undefined;
    await spool?.close();
  }

  get #short(): readonly NewLine[] {
    return this.#journal.lines(this.#ticket);
  }

  /** Opens the file; what the journal has, and the file has not, as after a crash in the midst of this, comes first. */
  #move(): void {
    const spool = Spool.open(this.#path);
    spool.append(this.#short.slice(spool.lastLine));
    this.#spool = spool;
  }
}

function bytesOf(lines: readonly NewLine[]): number {
  return lines.reduce((sum, { text }) => sum + countedBytes(Buffer.byteLength(text)), 0);
}
