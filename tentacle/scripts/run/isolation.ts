// The isolation queue: exclusive scripts run alone on the machine, shared ones at the same time, first come first
// served. A script that waits names the task that blocks it.
import type { Isolation } from '../../../contract/tasks.ts';

interface Participant {
  readonly task: string;
  readonly isolation: Isolation;
}

interface Waiter extends Participant {
  readonly admit: () => void;
}

/** A script's slot, in the queue or among the running. `leave` is idempotent and works for both. */
export interface Slot {
  /** Resolves when the script may start; never when it left the queue before. */
  readonly admitted: Promise<void>;
  readonly waiting: boolean;
  /** The task that blocks this script; undefined when admitted. */
  readonly heldBy: string | undefined;
  leave(): void;
}

export class IsolationQueue {
  readonly #mostRunning: number;
  readonly #running = new Set<Participant>();
  #waiting: Waiter[] = [];

  constructor(mostRunning: number) {
    this.#mostRunning = mostRunning;
  }

  /** Enters the queue. `runsAlready` is for a recovered script: its processes run, so it cannot wait. */
  enter(participant: Participant, options: { readonly runsAlready: boolean } = { runsAlready: false }): Slot {
    if (options.runsAlready) {
      this.#running.add(participant);
      return this.#slot(participant, Promise.resolve());
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = { ...participant, admit: resolve };
    this.#waiting.push(waiter);
    this.#admit();
    return this.#slot(waiter, promise);
  }

  #slot(participant: Participant, admitted: Promise<void>): Slot {
    const running = this.#running;
    const holder = (): string | undefined => this.#holderFor(participant);
    return {
      admitted,
      get waiting() {
        return !running.has(participant);
      },
      get heldBy() {
        return holder();
      },
      leave: () => {
        this.#running.delete(participant);
        this.#waiting = this.#waiting.filter((waiter) => waiter !== participant);
        this.#admit();
      },
    };
  }

  #holderFor(participant: Participant): string | undefined {
    if (this.#running.has(participant)) return undefined;
    const [first] = this.#running;
    const exclusive = (other: Participant): boolean => other.isolation === 'exclusive';
    const ahead = this.#waiting.slice(0, this.#waiting.indexOf(participant as Waiter)).find(exclusive);
    return ([...this.#running].find(exclusive) ?? ahead ?? first)?.task;
  }

  /** In order: if shared scripts could overtake an exclusive one, it might wait for ever. */
  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#running.add(next);
      next.admit();
    }
  }

  #fits(next: Participant): boolean {
    if (this.#running.size >= this.#mostRunning) return false;
    if (next.isolation === 'exclusive') return this.#running.size === 0;
    return ![...this.#running].some((other) => other.isolation === 'exclusive');
  }
}
