// Who may run on this machine at the same time: exclusive scripts alone, shared ones side by side, first come first
// served. A waiter is told the task of whoever holds it up.

export type Isolation = 'exclusive' | 'shared';

interface Participant {
  readonly task: string;
  readonly isolation: Isolation;
}

interface Waiter extends Participant {
  readonly admit: () => void;
}

/** A place in the queue, or on the machine. `leave` is idempotent and good for both. */
export interface Place {
  /** Resolves when the script may start; never when it left before. */
  readonly admitted: Promise<void>;
  readonly waiting: boolean;
  /** The task of the script that is waited for; undefined when admitted. */
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

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Takes a place in the queue; `runsAlready` is for a script that was taken up again and cannot wait. */
  enter(participant: Participant, options: { readonly runsAlready: boolean } = { runsAlready: false }): Place {
    if (options.runsAlready) {
      this.#running.add(participant);
      return this.#place(participant, Promise.resolve());
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = { ...participant, admit: resolve };
    this.#waiting.push(waiter);
    this.#admit();
    return this.#place(waiter, promise);
  }

  #place(participant: Participant, admitted: Promise<void>): Place {
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

  /** In order: a shared script does not overtake an exclusive one, or that would wait for ever. */
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
