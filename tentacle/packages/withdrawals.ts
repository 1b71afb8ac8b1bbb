// Tells work that the server has withdrawn its order: by the call itself, or by an order to cancel its ticket. A lost
// connection and a deadline withdraw nothing: the order is then repeated, and has to find the work done or under way.
import { IsthmusError } from '../../contract/errors.ts';
import type { Caller, StreamPeer } from '../../lib/grpc/server.ts';

/** What matters of a call of grpc-js. */
interface Call {
  readonly cancelled: boolean;
  on(event: 'cancelled', listener: () => void): unknown;
  getDeadline(): Date | number;
}

interface Wanted {
  readonly controller: AbortController;
  calls: number;
}

/** Nearer to its deadline a call counts as ended by it: the clocks of both ends are not the same. */
const DEADLINE_MARGIN_MS = 5_000;

export class Withdrawals {
  readonly #wanted = new Map<string, Wanted>();

  /**
   * Does the work of a ticket, with a signal that aborts once the ticket is withdrawn, or one of the calls for it that
   * are given here is cancelled: a repeated order waits for the work of the first one.
   */
  async run<Answer>(
    ticket: string,
    work: (signal: AbortSignal) => Promise<Answer>,
    cancelledWith?: { readonly call: Call; readonly caller: Caller<StreamPeer> },
  ): Promise<Answer> {
    const wanted = this.#wanted.get(ticket) ?? { controller: new AbortController(), calls: 0 };
    this.#wanted.set(ticket, wanted);
    wanted.calls += 1;
    if (cancelledWith !== undefined) {
      const { call, caller } = cancelledWith;
      const onCancelled = (): void => {
        const isLost = !caller.stream.readable;
        const isLate = Number(call.getDeadline()) < Date.now() + DEADLINE_MARGIN_MS;
        if (!isLost && !isLate) this.#withdraw(ticket, wanted);
      };
      call.on('cancelled', onCancelled);
      if (call.cancelled) onCancelled();
    }
    try {
      return await work(wanted.controller.signal);
    } finally {
      wanted.calls -= 1;
      if (wanted.calls === 0) this.#forget(ticket, wanted);
    }
  }

  /** Ends the work of a ticket, if there is any. */
  withdraw(ticket: string): void {
    const wanted = this.#wanted.get(ticket);
    if (wanted !== undefined) this.#withdraw(ticket, wanted);
  }

  #withdraw(ticket: string, wanted: Wanted): void {
    // A server that takes over from one that stops sends the order again: its work is not this one's.
    this.#forget(ticket, wanted);
    wanted.controller.abort(new IsthmusError('CANCELLED', 'the server has withdrawn the order'));
  }

  #forget(ticket: string, wanted: Wanted): void {
    if (this.#wanted.get(ticket) === wanted) this.#wanted.delete(ticket);
  }
}
