// Tells work that the server has withdrawn its order. A lost connection and a deadline withdraw nothing: the order is
// then repeated, and has to find the work done or under way.
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
   * Does the work of a ticket for a call, with a signal that aborts once a call for the ticket is cancelled: a repeated
   * order waits for the work of the first one.
   */
  async run<Answer>(
    ticket: string,
    { call, caller }: { readonly call: Call; readonly caller: Caller<StreamPeer> },
    work: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const wanted = this.#wanted.get(ticket) ?? { controller: new AbortController(), calls: 0 };
    this.#wanted.set(ticket, wanted);
    wanted.calls += 1;
    const onCancelled = (): void => {
      const isLost = !caller.stream.readable;
      const isLate = Number(call.getDeadline()) < Date.now() + DEADLINE_MARGIN_MS;
      if (isLost || isLate) return;
      // A server that takes over from one that stops sends the order again: its work is not this one's.
      this.#forget(ticket, wanted);
      wanted.controller.abort(new IsthmusError('CANCELLED', 'the server has withdrawn the order'));
    };
    call.on('cancelled', onCancelled);
    if (call.cancelled) onCancelled();
    try {
      return await work(wanted.controller.signal);
    } finally {
      wanted.calls -= 1;
      if (wanted.calls === 0) this.#forget(ticket, wanted);
    }
  }

  #forget(ticket: string, wanted: Wanted): void {
    if (this.#wanted.get(ticket) === wanted) this.#wanted.delete(ticket);
  }
}
