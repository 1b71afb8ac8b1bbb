// Package tickets are used up: a repeated order gets the answer that the first one would get now, and does nothing
// again. Otherwise a recorded order could bring back an old release for as long as its envelope is valid.
import { IsthmusError } from '../../contract/errors.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import type { Journal } from '../journal/journal.ts';
import type { PackageTicket } from '../journal/records.ts';

/** The order that a ticket is for. */
export type PackageTicketKey = Omit<PackageTicket, 'error'>;

/** The work of a ticket, and how a repeated order is answered. */
interface TicketWork<Answer> {
  readonly work: () => Promise<Answer>;
  readonly again: () => Promise<Answer>;
  /** Once it has aborted, a failure does not use the ticket up: whoever withdrew the order may send it again. */
  readonly signal?: AbortSignal;
}

type TicketJournal = Pick<Journal, 'append' | 'ticket' | 'packageTicket' | 'assertRemembered'>;

/** A longer text of an error is cut: the journal keeps it for days. */
const LONGEST_ERROR = 500;

export class UsedTickets {
  readonly #journal: TicketJournal;
  readonly #busy = new Mutex();

  constructor(journal: TicketJournal) {
    this.#journal = journal;
  }

  /** Does the work of a ticket once, whether it succeeds or fails. After a crash in between it is done again. */
  once<Answer>(key: PackageTicketKey, { work, again, signal }: TicketWork<Answer>): Promise<Answer> {
    return this.#busy.run(async () => {
      if (this.isUsed(key)) return again();
      try {
        const answer = await work();
        await this.use(key);
        return answer;
      } catch (thrown) {
        if (signal?.aborted !== true) await this.#useFailed(key, IsthmusError.from(thrown));
        throw thrown;
      }
    }, key.ticket);
  }

  /** Whether the ticket has succeeded before. Throws its error when it has failed, and when it is another order's. */
  isUsed({ ticket, task, action }: PackageTicketKey): boolean {
    const used = this.#journal.packageTicket(ticket);
    if (used === undefined) {
      if (this.#journal.ticket(ticket) !== undefined) {
        throw new IsthmusError('TICKET_ALREADY_USED', `ticket ${ticket} was cancelled`);
      }
      this.#journal.assertRemembered(ticket);
      return false;
    }
    if (used.task !== task || used.action !== action) {
      throw new IsthmusError('TICKET_UNKNOWN', `ticket ${ticket} is not for this order`);
    }
    if (used.error !== undefined) throw new IsthmusError(used.error.code, used.error.detail);
    return true;
  }

  /** Uses the ticket up, durably. */
  async use(key: PackageTicketKey): Promise<void> {
    await this.#journal.append({ kind: 'package', ...key });
  }

  async #useFailed(key: PackageTicketKey, { code, message }: IsthmusError): Promise<void> {
    const error = { code, detail: message.slice(0, LONGEST_ERROR) };
    // A journal that cannot be written rejects every start and every order: the first error says more.
    await this.#journal.append({ kind: 'package', ...key, error }).catch(() => undefined);
  }
}
