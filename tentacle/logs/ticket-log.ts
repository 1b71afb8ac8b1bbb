// The numbered, masked log of one ticket. A short log stays in the journal, which the ticket's end is written to
// anyway, so it needs neither a file nor a sync of its own; a log that grows moves to a spool file as a whole.
import { existsSync } from 'node:fs';
import { IsthmusError } from '../../contract/errors.ts';
import type { Journal } from '../journal/journal.ts';
import {
  countedBytes,
  positionAfter,
  Spool,
  type LogStream,
  type NewLine,
  type SourcePosition,
  type SpooledLine,
} from './spool.ts';

/** A log larger than this moves to a file. Most scripts print less. */
const MOST_SHORT = { bytes: 4096, lines: 64 };
/** For the agent's own lines, which say why a log that must move to a file cannot. */
const MOST_WITH_RESERVE = { bytes: MOST_SHORT.bytes + 1024, lines: MOST_SHORT.lines + 8 };

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

  /** Opens a ticket's log; `path` is the file of a long one. */
  static open(journal: Journal, ticket: string, path: string): TicketLog {
    const log = new TicketLog(journal, ticket, path);
    if (existsSync(path)) log.#move();
    return log;
  }

  get lastLine(): number {
    return this.#spool?.lastLine ?? this.#short.length;
  }

  /** How much of the quota the lines use. */
  get countedBytes(): number {
    return this.#spool?.countedBytes ?? this.#shortBytes;
  }

  /** The position at which to go on reading the raw output of a stream. */
  position(stream: LogStream): SourcePosition {
    if (this.#spool !== undefined) return this.#spool.position(stream);
    return positionAfter(this.#short.findLast((line) => line.stream === stream));
  }

  /** Adds lines; when the write fails, none is added. */
  append(lines: readonly NewLine[]): void {
    if (lines.length === 0) return;
    const bytes = bytesOf(lines);
    const most = lines.every(({ stream }) => stream === 'agent') ? MOST_WITH_RESERVE : MOST_SHORT;
    const fits = this.#shortBytes + bytes <= most.bytes && this.#short.length + lines.length <= most.lines;
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
    for (const { stream, atMs, text, ending } of this.#short.slice(afterLine)) {
      taken += Buffer.byteLength(text);
      if (lines.length > 0 && taken > mostBytes) break;
      lines.push({ stream, atMs, text, ending });
    }
    return lines;
  }

  /** Makes the lines survive a power cut. A short log is synced with the next record that is. */
  async sync(): Promise<void> {
    await this.#spool?.sync();
  }

  /** Closes the log. Later reads throw TICKET_ALREADY_USED. */
  async close(): Promise<void> {
    this.#closed = true;
    const spool = this.#spool;
    this.#spool = undefined;
    await spool?.close();
  }

  get #short(): readonly NewLine[] {
    return this.#journal.lines(this.#ticket);
  }

  /**
   * Opens the file, and first adds the lines that only the journal has: a crash may have interrupted an earlier move.
   */
  #move(): void {
    const spool = Spool.open(this.#path);
    spool.append(this.#short.slice(spool.lastLine));
    this.#spool = spool;
  }
}

function bytesOf(lines: readonly NewLine[]): number {
  return lines.reduce((sum, { text }) => sum + countedBytes(Buffer.byteLength(text)), 0);
}
