// The registry of task kinds, and what a kind implements. Kinds live in their features; server/task-kinds.ts registers
// them.
import { IsthmusError } from '../../contract/errors.ts';
import type { Actor } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskContext } from './context.ts';
import type { TicketDeps } from './execution/machine-run.ts';
import type { TaskOutcome } from './outcome.ts';

/** Tasks whose kinds have the same lane share its concurrency, and never wait for those of another lane. */
export interface Lane {
  readonly name: string;
  /** Tasks that run at once. */
  readonly concurrency: number;
}

/** For kinds that run work on machines. A task costs a stream per machine, not a thread. */
export const WORK_LANE: Lane = { name: 'work', concurrency: 400 };

/** A run that begins, or continues where an earlier owner stopped. */
export interface TaskStart {
  readonly resumed: boolean;
  readonly node: string;
  readonly epoch: number;
}

/** What a retry requests beside the first task's payload. */
export interface RetryRequest {
  readonly machines: readonly string[];
  /** The same as the first task's. */
  readonly deadlineS: number;
  readonly retryOf: string;
  readonly actor: Actor;
}

/**
 * A kind of task. Its view shows the `steps` of the payload (PlannedStep), or else one action, named like the kind, on
 * each of its `machines`.
 */
export interface TaskKind<Payload = unknown> {
  readonly kind: string;
  readonly lane: Lane;
  /** Tasks with the same key run one at a time, in the order of acceptance. A task without a key waits for none. */
  concurrencyKey?(payload: Payload): string;
  /** Does the task's work. Called again for a resumed task, which continues from its tickets' rows. */
  run(context: TaskContext, deps: TicketDeps): Promise<TaskOutcome>;
  /** Writes what the kind records of a start, in the transaction of the start. */
  onStart?(tx: StoreTransaction, task: Task, start: TaskStart): Promise<void>;
  /** Writes what the kind records of the end, in the transaction of the end. */
  onEnd?(tx: StoreTransaction, task: Task, outcome: TaskOutcome): Promise<void>;
  /** Accepts a task that does the same again. A kind without this cannot be retried. */
  retry?(tx: StoreTransaction, task: Task, request: RetryRequest): Promise<Task>;
}

export class TaskKindRegistry {
  readonly #kinds = new Map<string, TaskKind>();

  /** Adds a kind. INTERNAL when its name is taken. */
  registerTaskKind<Payload>(definition: TaskKind<Payload>): this {
    const { kind } = definition;
    if (this.#kinds.has(kind)) throw new IsthmusError('INTERNAL', `task kind ${kind} is registered twice`);
    this.#kinds.set(kind, definition);
    return this;
  }

  /** INTERNAL for a kind that is not registered. */
  get(kind: string): TaskKind {
    const found = this.#kinds.get(kind);
    if (found === undefined) throw new IsthmusError('INTERNAL', `task kind ${kind} is not registered`);
    return found;
  }

  /** Each lane with the names of its kinds. */
  lanes(): ReadonlyMap<Lane, readonly string[]> {
    const byLane = Map.groupBy(this.#kinds.values(), ({ lane }) => lane);
    return new Map([...byLane].map(([lane, kinds]) => [lane, kinds.map(({ kind }) => kind)]));
  }
}
