// Log lines: a ticket's log is lines 1..N, each once, in order (I3), however often a batch is repeated.
import { sql } from 'kysely';
import { IsthmusError } from '../../../contract/errors.ts';
import type { LineEnding } from '../../../contract/task-stream.ts';
import { found, type Executor } from '../base.ts';
import { reserveSequence } from './task-stream.ts';
import type { Fence } from '../base.ts';

export interface NewLogLine {
  /** stdout, stderr or agent. */
  readonly stream: string;
  readonly at: number;
  readonly text: string;
  readonly ending: LineEnding;
}

export interface LogLine extends NewLogLine {
  readonly line: number;
}

/** Rows per statement: SQLite takes 32,766 parameters, a row has eight. */
const ROWS_PER_STATEMENT = 2000;

export class LogLineRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /**
   * Stores lines numbered from `firstLine`, and skips those that are stored already. Returns the last stored line, to
   * be acknowledged after the commit. LOG_GAP when the batch does not follow the last stored line, STALE_EPOCH unless
   * the fence holds. Call it in a transaction.
   */
  async append(fence: Fence, ticket: string, firstLine: number, lines: readonly NewLogLine[]): Promise<number> {
    const row = await this.#db
      .selectFrom('tickets')
      .select('stored_line')
      .where('id', '=', ticket)
      .where('task', '=', fence.task)
      .executeTakeFirst();
    const stored = found(row, `ticket ${ticket} of task ${fence.task}`).stored_line;
    if (firstLine > stored + 1) {
      throw new IsthmusError('LOG_GAP', `ticket ${ticket}: line ${firstLine} follows ${stored}`);
    }
    const fresh = lines.slice(stored + 1 - firstLine);
    const seq = await reserveSequence(this.#db, fence.task, fresh.length, fence);
    if (fresh.length === 0) return stored;
    await this.#insert(fence.task, ticket, stored + 1, seq, fresh);
    const last = stored + fresh.length;
    await this.#db.updateTable('tickets').set({ stored_line: last }).where('id', '=', ticket).execute();
    return last;
  }

  /** Lines after number `after`, at most `limit`. */
  async read(ticket: string, after: number, limit: number): Promise<LogLine[]> {
    return this.#db
      .selectFrom('log_lines')
      .select(['line', 'stream', 'at', 'text', 'ending'])
      .where('ticket', '=', ticket)
      .where('line', '>', after)
      .orderBy('line')
      .limit(limit)
      .execute();
  }

  /** How many bytes of text a ticket has stored. */
  async bytesOf(ticket: string): Promise<number> {
    const { bytes } = await this.#db
      .selectFrom('log_lines')
      .select(sql<number>`coalesce(sum(octet_length(text)), 0)`.as('bytes'))
      .where('ticket', '=', ticket)
      .executeTakeFirstOrThrow();
    return Number(bytes);
  }

  async #insert(task: string, ticket: string, line: number, seq: number, lines: readonly NewLogLine[]): Promise<void> {
    for (let from = 0; from < lines.length; from += ROWS_PER_STATEMENT) {
      const rows = lines.slice(from, from + ROWS_PER_STATEMENT).map(({ stream, at, text, ending }, index) => ({
        ticket,
        line: line + from + index,
        task,
        seq: seq + from + index,
        at,
        stream,
        text,
        ending,
      }));
      await this.#db.insertInto('log_lines').values(rows).execute();
    }
  }
}
