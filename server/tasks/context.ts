// What a running task holds: its fence, its lease, and the two signals that stop it.
//   halt    this node has lost the task or stops: write and send nothing more; the next owner continues
//   finish  the task was cancelled or its deadline passed: end what runs on the machines, then end the task
import { IsthmusError } from '../../contract/errors.ts';
import type { Fence } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { NewStreamEntry } from '../store/tasks/task-stream.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { Writer } from './writer.ts';

/** Why a task ends before its work is done. */
export type FinishReason = 'cancel' | 'deadline';

/** Unwinds a runner that must stop at once and silently. */
export class Halted extends Error {
  constructor() {
    super('the task is no longer run here');
    this.name = 'Halted';
  }
}

/** One moment by both clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

interface ContextOptions {
  readonly writer: Writer;
  readonly leaseMs: number;
  /** When the task was claimed. */
  readonly at: Moment;
}

export class TaskContext {
  readonly task: Task;
  readonly fence: Fence;
  readonly #writer: Writer;
  readonly #leaseMs: number;
  /** Of the monotonic clock, like the end of the lease: setting the clock of the machine changes neither. */
  readonly #deadlineMs: number;
  readonly #halt = new AbortController();
  readonly #finish = new AbortController();
  #leaseUntilMs: number;

  constructor(task: Task, { writer, leaseMs, at }: ContextOptions) {
    this.task = task;
    this.fence = { task: task.id, epoch: task.epoch };
    this.#writer = writer;
    this.#leaseMs = leaseMs;
    this.#deadlineMs = at.monotonicMs + task.deadlineAt - at.wallMs;
    this.#leaseUntilMs = at.monotonicMs + (task.leaseUntil ?? 0) - at.wallMs;
  }

  get halt(): AbortSignal {
    return this.#halt.signal;
  }

  get finish(): AbortSignal {
    return this.#finish.signal;
  }

  /** Undefined while the task may continue. */
  get finishReason(): FinishReason | undefined {
    return this.#finish.signal.reason as FinishReason | undefined;
  }

  /** What is left of the task's time; negative when it has passed. */
  get leftMs(): number {
    return this.#deadlineMs - performance.now();
  }

  /** The moment of the deadline by the clock as it is set now. */
  get deadlineAt(): number {
    return Math.round(Date.now() + this.leftMs);
  }

  halted(): void {
    this.#halt.abort(new Halted());
  }

  finishFor(reason: FinishReason): void {
    this.#finish.abort(reason);
  }

  /**
   * One write with at least one fenced statement. Throws Halted when the fence no longer holds. When the store itself
   * fails, the task is halted too: its lease expires, and the next owner resumes from what was committed.
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

  /** Appends a message to the task's stream, in order with its log and states. */
  async message(text: string, entry: Omit<NewStreamEntry, 'kind' | 'at' | 'text'> = {}): Promise<void> {
    await this.write((tx) => tx.taskEvents.append(this.task.id, { ...entry, at: Date.now(), text }, this.fence.epoch));
  }

  /** Renews the lease, and reads whether a cancel was requested. */
  async renew(): Promise<void> {
    const renewedMs = performance.now();
    const task = await this.write(async (tx) => {
      await tx.tasks.renewLease(this.fence, { leaseMs: this.#leaseMs, now: Date.now() });
      return tx.tasks.get(this.task.id);
    });
    this.#leaseUntilMs = renewedMs + this.#leaseMs;
    if (task.cancelRequestedAt !== null) this.finishFor('cancel');
  }

  /** Renews an expired lease before anything is sent: this process may have been suspended for a while. */
  async assertOwned(): Promise<void> {
    this.#halt.signal.throwIfAborted();
    if (performance.now() >= this.#leaseUntilMs) await this.renew();
  }
}
