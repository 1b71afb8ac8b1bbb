// Keeps callers out that lost their lease: of each task only the highest epoch that was seen has a say, for ever.
import { IsthmusError } from '../../contract/errors.ts';
import type { Journal } from '../journal/journal.ts';

export class EpochFence {
  readonly #journal: Journal;
  readonly #listeners = new Set<(task: string, epoch: number) => void>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** STALE_EPOCH for a lower epoch than was seen, at once. Resolves when a higher one is on the disk. */
  async pass(task: string, epoch: number): Promise<void> {
    if (!this.#isHigher(task, epoch)) return;
    const raised = this.#journal.raiseEpoch(task, epoch);
    this.#tell(task, epoch);
    await raised;
  }

  /** As `pass`, for a caller that appends something durable next: the journal keeps its order. */
  passBefore(task: string, epoch: number): void {
    if (!this.#isHigher(task, epoch)) return;
    this.#journal.noteEpoch(task, epoch);
    this.#tell(task, epoch);
  }

  /** Calls back when a task is taken over. */
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

  #tell(task: string, epoch: number): void {
    for (const listener of [...this.#listeners]) listener(task, epoch);
  }
}
