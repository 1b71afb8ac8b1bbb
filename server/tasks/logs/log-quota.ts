// Bounds how much log one ticket may store. The tentacle cuts a script's log at its own quota; this one, slightly
// higher, keeps a tentacle that does not from filling the database.
import type { LogLineRepository, NewLogLine } from '../../store/tasks/log-lines.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';

export interface LogQuota {
  readonly bytes: number;
  readonly lines: number;
}

/** A line costs the store some dozens of bytes beside its text, so that empty lines are bounded, too. */
const SHORTEST_MEAN_LINE = 16;

/** The quota for this many bytes of text. */
export function logQuotaOf(bytes: number): LogQuota {
  return { bytes, lines: Math.ceil(bytes / SHORTEST_MEAN_LINE) };
}

/** By default a tentacle cuts at 64 MiB. */
export const DEFAULT_LOG_QUOTA: LogQuota = logQuotaOf(72 * 1024 * 1024);

/** Counts the log that one ticket has stored. */
export class LogMeter {
  readonly #quota: LogQuota;
  #bytes: number;
  #lines: number;

  private constructor(quota: LogQuota, bytes: number, lines: number) {
    this.#quota = quota;
    this.#bytes = bytes;
    this.#lines = lines;
  }

  /** Starts from what is stored already: a restart of the server grants no second quota. */
  static async of(quota: LogQuota, logLines: LogLineRepository, ticket: Ticket): Promise<LogMeter> {
    const { id, storedLine } = ticket;
    return new LogMeter(quota, storedLine === 0 ? 0 : await logLines.bytesOf(id), storedLine);
  }

  /** How many of these lines fit into the quota. */
  fitting(lines: readonly NewLogLine[]): number {
    let bytes = this.#bytes;
    const room = Math.max(0, Math.min(lines.length, this.#quota.lines - this.#lines));
    for (let count = 0; count < room; count += 1) {
      bytes += Buffer.byteLength(lines[count]?.text ?? '');
      if (bytes > this.#quota.bytes) return count;
    }
    return room;
  }

  /** Counts lines that are now stored. */
  add(lines: readonly NewLogLine[]): void {
    for (const { text } of lines) this.#bytes += Buffer.byteLength(text);
    this.#lines += lines.length;
  }
}
