// One piece of work at a time, in the order in which they were asked for.

export class Mutex {
  /** The last piece of each key; a key without one is free. */
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Runs `work` when all that was asked for before it has ended, well or not; with a key, only what has the same key.
   * Gives what it gives.
   */
  async run<Result>(work: () => Promise<Result>, key = ''): Promise<Result> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const result = before.then(work, work);
    this.#last.set(key, result);
    try {
      return await result;
    } finally {
      if (this.#last.get(key) === result) this.#last.delete(key);
    }
  }

  /** Resolves when all that was asked for until now has ended, well or not. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}
