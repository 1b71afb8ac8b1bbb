// A mutex, optionally by key: runs one piece of work at a time, first come first served.

export class Mutex {
  /** The last work of each key; a key without an entry is free. */
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Runs `work` after all earlier work of the same key has settled, and returns its result.
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

  /** Resolves when all work queued so far has settled. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}
