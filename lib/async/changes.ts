// Lets many callers wait for the next change.

export class Changes {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `notify`. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Wakes all who wait. */
  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
