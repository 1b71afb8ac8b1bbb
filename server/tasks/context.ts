// What a running task holds: its fence, its lease, and the two paths it can be told to leave off.
//   halt    this node is no longer the owner, or stops: write nothing more, send nothing more; another goes on
//   finish  the task was cancelled or its deadline passed: bring what runs to its end, then end the task
import { IsthmusError } from '../../contract/errors.ts';
import type { Fence } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { NewStreamEntry } from '../store/tasks/task-stream.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { Writer } from './writer.ts';

/** Why a task is being brought to its end before its work is done. */
export type FinishReason = 'cancel' | 'deadline';

/** Thrown through a runner that must leave off at once, without another word to anyone. */
export class Halted extends Error {
  constructor() {
    super('the task is no longer run here');
    this.name = 'Halted';
  }
}

export class TaskContext {
  readonly task: Task;
  readonly fence: Fence;
  readonly #writer: Writer;
  readonly #leaseMs: number;
  readonly #halt = new AbortController();
  readonly #finish = new AbortController();
  #leaseUntil: number;

  constructor(task: Task, writer: Writer, leaseMs: number) {
    this.task = task;
    this.fence = { task: task.id, epoch: task.epoch };
    this.#writer = writer;
    this.#leaseMs = leaseMs;
    this.#leaseUntil = task.leaseUntil ?? 0;
  }

  get halt(): AbortSignal {
    return this.#halt.signal;
  }

  get finish(): AbortSignal {
    return this.#finish.signal;
  }

  /** Undefined while the task may go on. */
  get finishReason(): FinishReason | undefined {
    return this.#finish.signal.reason as FinishReason | undefined;
  }

  halted(): void {
    this.#halt.abort(new Halted());
  }

  finishFor(reason: FinishReason): void {
    this.#finish.abort(reason);
  }

  /**
   * One write, of which at least one statement is fenced. Leaves through Halted when the fence no longer holds, and
   * when the store itself fails: the lease then runs out, and the task is claimed again and resumed from what was
   * committed.
   */
  async write<Result>(work: (tx: StoreTransaction) => Promise<Result>): Promise<Result> {
    this.#halt.signal.throwIfAborted();
    try {
      return await this.#writer.write(work);
    } catch (thrown) {
      if (thrown instanceof IsthmusError && thrown.code !== 'STALE_EPOCH' && thrown.code !== 'TASK_ENDED') throw thrown;
      this.halted();
      throw thrown instanceof IsthmusError ? new Halted() : thrown;
    }
  }

  /** Tells the task's readers something, in order with its log and states. */
  async note(text: string, entry: Omit<NewStreamEntry, 'kind' | 'at' | 'text'> = {}): Promise<void> {
    await this.write((tx) => tx.taskEvents.append(this.task.id, { ...entry, at: Date.now(), text }, this.fence.epoch));
  }

  /** Renews the lease, and learns whether somebody asked for the task's end. */
  async renew(): Promise<void> {
    const now = Date.now();
    const task = await this.write(async (tx) => {
      await tx.tasks.renewLease(this.fence, { leaseMs: this.#leaseMs, now });
      return tx.tasks.get(this.task.id);
    });
    this.#leaseUntil = now + this.#leaseMs;
    if (task.cancelRequestedAt !== null) this.finishFor('cancel');
  }

  /** Nothing may be sent under a lease that has run out, after this process was stopped for a while, say. */
  async assertOwned(): Promise<void> {
    this.#halt.signal.throwIfAborted();
    if (Date.now() >= this.#leaseUntil) await this.renew();
  }
}
