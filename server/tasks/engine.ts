// The task engine: claims queued tasks under a lease, runs them, ends each exactly once. Map of this folder:
//   engine.ts         claiming, lanes, leases; knows nothing of what a task does
//   kinds.ts          the registry of task kinds, which live in their features
//   submit.ts, retry.ts, targets.ts   accepting a task, and accepting it again
//   context.ts        what a running task holds; outcome.ts: how its end follows from its tickets
//   lifecycle.ts      the writes that begin and end a run; writer.ts: group commit
//   execution/        running one ticket on one machine: routes, signed envelopes, scripts, packages
//   logs/             following, masking and bounding a script's log
//   view.ts           what readers see
// A wake-up is a hint; polling is the guarantee. A task whose lease ran out is claimed again, by any node, with the
// next epoch, and every step is decided from the tickets' rows.
import PQueue from 'p-queue';
import { LongTimer } from '../../lib/async/long-timer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { Store } from '../store/store.ts';
import { Halted, TaskContext } from './context.ts';
import type { TicketDeps } from './execution/machine-run.ts';
import type { Lane, TaskKindRegistry } from './kinds.ts';
import { endTask, startTask } from './transitions.ts';
import { taskOutcome, type TaskOutcome } from './outcome.ts';
import type { Writer } from './writer.ts';

export interface EngineTunables {
  /** How long a claim holds without renewal: another node takes over that long after this one dies. */
  readonly leaseMs: number;
  /** A third of the lease, so that two renewals may fail. */
  readonly renewEveryMs: number;
  /** The guarantee behind the hints. */
  readonly pollEveryMs: number;
}

const defaults: EngineTunables = {
  leaseMs: 15_000,
  renewEveryMs: 5_000,
  pollEveryMs: 500,
};

/** Claims per transaction: a burst is claimed in few commits and keeps readers waiting for none of them long. */
const CLAIMS_PER_WRITE = 16;
/** Under a burst of commits, each of which is a hint, this is often enough to look. */
const CANCELS_READ_EVERY_MS = 100;

interface EngineOptions extends Partial<EngineTunables> {
  readonly store: Pick<Store, 'onCommit' | 'tasks'>;
  readonly writer: Writer;
  readonly kinds: TaskKindRegistry;
  /** What the kinds run their tickets with. */
  readonly deps: TicketDeps;
  readonly log: Logger;
  readonly nodeId: string;
}

export interface TaskEngine {
  /** A hint that there is something to claim, or that a cancel was asked for. */
  wake(): void;
  /** The tasks this node runs now. */
  readonly running: number;
  /** Leaves every task off where it is and gives the leases back. Idempotent. */
  stop(): Promise<void>;
}

interface LaneQueue {
  readonly kinds: readonly string[];
  readonly queue: PQueue;
  readonly concurrency: number;
}

/** Starts the engine: it claims at once what an earlier process left. */
export function createTaskEngine(options: EngineOptions): TaskEngine {
  return new Engine(options);
}

class Engine implements TaskEngine {
  readonly #options: EngineOptions & EngineTunables;
  readonly #lanes: readonly LaneQueue[];
  readonly #contexts = new Map<string, TaskContext>();
  readonly #timers: NodeJS.Timeout[];
  readonly #stopHints: () => void;
  #pass: Promise<void> | undefined;
  #again = true;
  #cancelsReadAt = 0;
  #stopped: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    const tuned = { ...defaults, ...options };
    this.#options = tuned;
    this.#lanes = [...options.kinds.lanes()].map(([lane, kinds]) => laneQueue(lane, kinds));
    this.#timers = [
      setInterval(() => this.wake(), tuned.pollEveryMs),
      setInterval(() => this.#renewAll(), tuned.renewEveryMs),
    ];
    this.#stopHints = options.store.onCommit(() => {
      if (!options.writer.busy) this.wake();
    });
    // What this node held when it last died need not wait for its lease to run out.
    this.#pass = this.#freeOwnLeases().then(() => this.#passes());
  }

  get running(): number {
    return this.#contexts.size;
  }

  wake(): void {
    if (this.#stopped !== undefined) return;
    this.#again = true;
    this.#pass ??= this.#passes();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#stopHints();
    await this.#pass;
    for (const context of this.#contexts.values()) context.halted();
    await Promise.all(this.#lanes.map(({ queue }) => queue.onIdle()));
  }

  async #freeOwnLeases(): Promise<void> {
    const { writer, nodeId, log } = this.#options;
    await writer
      .write((tx) => tx.tasks.releaseAll(nodeId))
      .catch((thrown: unknown) => log.error({ err: thrown }, 'the leases of an earlier run were not freed'));
  }

  async #passes(): Promise<void> {
    while (this.#again && this.#stopped === undefined) {
      this.#again = false;
      try {
        for (const each of this.#lanes) await this.#fill(each);
        await this.#tellCancelled();
      } catch (thrown) {
        this.#options.log.error({ err: thrown }, 'claiming failed');
      }
    }
    this.#pass = undefined;
  }

  /** Tells running tasks that their end was asked for; every renewal of a lease looks again. */
  async #tellCancelled(): Promise<void> {
    if (this.#contexts.size === 0 || Date.now() < this.#cancelsReadAt + CANCELS_READ_EVERY_MS) return;
    this.#cancelsReadAt = Date.now();
    for (const id of await this.#options.store.tasks.cancelRequested()) this.#contexts.get(id)?.finishFor('cancel');
  }

  /** Claims for one lane until it is full or nothing is left. */
  async #fill(into: LaneQueue): Promise<void> {
    for (;;) {
      const free = into.concurrency - into.queue.pending - into.queue.size;
      if (free <= 0 || this.#stopped !== undefined) return;
      const wanted = Math.min(free, CLAIMS_PER_WRITE);
      const claimed = await this.#claim(into, wanted);
      for (const task of claimed) void into.queue.add(() => this.#run(task));
      if (claimed.length < wanted) return;
    }
  }

  async #claim(into: LaneQueue, wanted: number): Promise<Task[]> {
    const { writer, nodeId, leaseMs } = this.#options;
    const held = this.#shares(into);
    return writer.write(async (tx) => {
      const shares = new Map(held);
      const claimed: Task[] = [];
      while (claimed.length < wanted) {
        const lease = { owner: nodeId, leaseMs, now: Date.now(), kinds: into.kinds };
        const exceptProjects = overShare(shares, into.concurrency);
        // Whoever holds less than its share comes first; a lane is never left idle for fairness' sake.
        const task =
          (await tx.tasks.claimNext({ ...lease, exceptProjects })) ??
          (exceptProjects.length === 0 ? undefined : await tx.tasks.claimNext(lease));
        if (task === undefined) break;
        claimed.push(task);
        shares.set(task.project ?? '', (shares.get(task.project ?? '') ?? 0) + 1);
      }
      return claimed;
    });
  }

  /** How many tasks of each project the lane holds. */
  #shares({ kinds }: LaneQueue): Map<string, number> {
    const shares = new Map<string, number>();
    for (const { task } of this.#contexts.values()) {
      if (!kinds.includes(task.kind)) continue;
      shares.set(task.project ?? '', (shares.get(task.project ?? '') ?? 0) + 1);
    }
    return shares;
  }

  async #run(task: Task): Promise<void> {
    const { writer, leaseMs, log } = this.#options;
    const context = new TaskContext(task, writer, leaseMs);
    // A claim of our own whose lease ran out unnoticed: the older runner must leave off.
    this.#contexts.get(task.id)?.halted();
    this.#contexts.set(task.id, context);
    const deadline = new LongTimer(task.deadlineAt, () => context.finishFor('deadline'));
    if (task.cancelRequestedAt !== null) context.finishFor('cancel');
    else if (task.deadlineAt <= Date.now()) context.finishFor('deadline');
    try {
      if (this.#stopped !== undefined) context.halted();
      await endTask(context, this.#options.kinds.get(task.kind), await this.#work(context));
    } catch (thrown) {
      await this.#leave(context, thrown, log);
    } finally {
      deadline.stop();
      // After a fault of ours other machines of the task may still be at work: it is over for them, too.
      context.halted();
      if (this.#contexts.get(task.id) === context) this.#contexts.delete(task.id);
      this.wake();
    }
  }

  async #work(context: TaskContext): Promise<TaskOutcome> {
    const { kinds, deps, nodeId } = this.#options;
    const { task, finishReason } = context;
    // Whatever its kind: what was cut short in the queue never begins. It may be here before its turn.
    if (task.startedAt === null && finishReason !== undefined) {
      return taskOutcome({ tickets: [], finishReason, unfinished: true });
    }
    const kind = kinds.get(task.kind);
    // Both at once, so that the kind's first write shares the commit of the start: writes keep their order, and when
    // the first fails the context is halted for the second.
    const [, outcome] = await Promise.all([startTask(context, kind, nodeId), kind.run(context, deps)]);
    return outcome;
  }

  /** A run left without an end: because it had to, or because of a fault of ours. */
  async #leave(context: TaskContext, thrown: unknown, log: Logger): Promise<void> {
    const { task, fence } = context;
    if (!context.halt.aborted) {
      const error = IsthmusError.from(thrown);
      log.error({ err: thrown, task: task.id }, 'task failed unexpectedly');
      try {
        const ending = { state: 'failed', errorCode: error.code, errorDetail: error.message } as const;
        await endTask(context, this.#options.kinds.get(task.kind), ending);
        return;
      } catch (again) {
        if (!(again instanceof Halted)) log.error({ err: again, task: task.id }, 'task could not be ended');
      }
    } else if (!(thrown instanceof Halted)) {
      log.warn({ err: thrown, task: task.id, epoch: fence.epoch }, 'task left to its next owner');
    }
    await this.#release(context);
  }

  async #release({ fence }: TaskContext): Promise<void> {
    try {
      await this.#options.writer.write((tx) => tx.tasks.release(fence));
    } catch {
      // Somebody else's by now, or ended, or the store fails: then the lease runs out by itself.
    }
  }

  #renewAll(): void {
    for (const context of this.#contexts.values()) {
      context.renew().catch((thrown: unknown) => {
        if (!(thrown instanceof Halted))
          this.#options.log.warn({ err: thrown, task: context.task.id }, 'lease not renewed');
      });
    }
  }
}

function laneQueue({ concurrency }: Lane, kinds: readonly string[]): LaneQueue {
  return { kinds, concurrency, queue: new PQueue({ concurrency }) };
}

/** The projects that hold their share of a lane, when there were one more at work. */
function overShare(shares: ReadonlyMap<string, number>, concurrency: number): string[] {
  const share = Math.max(1, Math.floor(concurrency / (shares.size + 1)));
  return [...shares].filter(([, held]) => held >= share).map(([project]) => project);
}
