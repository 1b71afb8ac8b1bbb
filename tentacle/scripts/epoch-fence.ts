// Rejects stale owners: for each task, only callers with the highest epoch seen so far are admitted, for ever.
import { IsthmusError } from '../../contract/errors.ts';
import type { Journal } from '../journal/journal.ts';

export class EpochFence {
  readonly #journal: Journal;
  readonly #listeners = new Set<(task: string, epoch: number) => void>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Throws STALE_EPOCH for a lower epoch than the highest seen. Resolves when a higher one is on the disk. */
  async admit(task: string, epoch: number): Promise<void> {
    if (!this.#isHigher(task, epoch)) return;
    const raised = this.#journal.raiseEpoch(task, epoch);
    this.#notify(task, epoch);
    await raised;
  }

  /** As `admit`, for a caller that appends something durable next: the journal keeps the order. */
  admitUnsynced(task: string, epoch: number): void {
    if (!this.#isHigher(task, epoch)) return;
    this.#journal.noteEpoch(task, epoch);
    this.#notify(task, epoch);
  }

  /** Calls back when a new owner takes a task over. */
  onEpoch(listener: (task: string, epoch: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #isHigher(task: string, epoch: number): boolean {
    const highest = this.#journal.epoch(task);
    if (epoch < highest) {
      throw new IsthmusError('STALE_EPOCH', `epoch ${epoch} of task ${task} is over; epoch ${highest} has taken over`);
    }
    return epoch > highest;
  }

  #notify(task: string, epoch: number): void {
    for (const listener of [...this.#listeners]) listener(task, epoch);
  }
}
