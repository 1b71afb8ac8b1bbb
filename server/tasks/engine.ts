// The task engine: claims queued tasks under a lease, runs them, ends each exactly once. Map of this folder:
//   engine.ts         claims, lanes, leases; independent of what a task does
//   kinds.ts          the registry of task kinds, which live in their features
//   submit.ts, retry.ts, targets.ts   accept a task, accept it again, resolve its machines
//   clock.ts          keeps what is left of deadlines and leases when the clock is set
//   context.ts        what a running task holds; outcome.ts derives its end from its tickets
//   transitions.ts    the writes that start and end a run; writer.ts: group commit
//   execution/        runs one ticket on one machine: routes, signed envelopes, scripts, packages
//   logs/             follows, masks and bounds a script's log
//   view.ts           a task as readers see it
// A wake-up is a hint; polling is the guarantee. When a lease expires, any node claims the task again with the next
// epoch, and continues from the tickets' rows.
import PQueue from 'p-queue';
import { background, every } from '../../lib/async/background.ts';
import { LongTimer } from '../../lib/async/long-timer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { Store } from '../store/store.ts';
import { Halted, TaskContext, type Moment } from './context.ts';
import type { TicketDeps } from './execution/machine-run.ts';
import type { Lane, TaskKindRegistry } from './kinds.ts';
import { endTask, startTask } from './transitions.ts';
import { taskOutcome, type TaskOutcome } from './outcome.ts';
import type { Writer } from './writer.ts';

export interface EngineTunables {
  /** How long a claim holds without renewal: another node takes over this long after this one dies. */
  readonly leaseMs: number;
  /** A third of the lease, so that two renewals may fail. */
  readonly renewEveryMs: number;
  /** Finds what no hint announced. */
  readonly pollEveryMs: number;
}

const DEFAULTS: EngineTunables = {
  leaseMs: 15_000,
  renewEveryMs: 5_000,
  pollEveryMs: 500,
};

/** Claims per transaction: a burst takes few commits, none of which holds up readers for long. */
const CLAIMS_PER_WRITE = 16;
/** Every commit is a hint; under a burst of commits cancels are read only this often. */
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
  /** A hint that a task waits to be claimed, or that a cancel was requested. */
  wake(): void;
  /** The tasks this node runs now. */
  readonly running: number;
  /** Stops every task where it is and gives the leases back. Idempotent. */
  stop(): Promise<void>;
}

/** A task and when it was claimed. */
interface Claimed {
  readonly task: Task;
  readonly at: Moment;
}

interface LaneQueue {
  readonly kinds: readonly string[];
  readonly queue: PQueue;
  readonly concurrency: number;
}

/** Starts the engine, which claims at once what an earlier process left. */
export function createTaskEngine(options: EngineOptions): TaskEngine {
  return new Engine(options);
}

class Engine implements TaskEngine {
  readonly #options: EngineOptions & EngineTunables;
  readonly #lanes: readonly LaneQueue[];
  readonly #contexts = new Map<string, TaskContext>();
  readonly #stopTimers: readonly (() => void)[];
  readonly #stopHints: () => void;
  #claiming: Promise<void> | undefined;
  #claimAgain = true;
  #cancelsReadAtMs = -CANCELS_READ_EVERY_MS;
  #stopped: Promise<void> | undefined;

  constructor(options: EngineOptions) {
    const tuned = { ...DEFAULTS, ...options };
    this.#options = tuned;
    this.#lanes = [...options.kinds.lanes()].map(([lane, kinds]) => laneQueue(lane, kinds));
    this.#stopTimers = [
      every(tuned.pollEveryMs, 'task.claim', tuned.log, () => this.wake()),
      every(tuned.renewEveryMs, 'lease.renewal', tuned.log, () => this.#renewAll()),
    ];
    this.#stopHints = options.store.onCommit(() => {
      if (!options.writer.busy) this.wake();
    });
    // What this node held when it last died need not wait for its lease to expire.
    this.#claiming = this.#freeOwnLeases().then(() => this.#claimWhileWoken());
  }

  get running(): number {
    return this.#contexts.size;
  }

  wake(): void {
    if (this.#stopped !== undefined) return;
    this.#claimAgain = true;
    this.#claiming ??= this.#claimWhileWoken();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    for (const stop of this.#stopTimers) stop();
    this.#stopHints();
    await this.#claiming;
    for (const context of this.#contexts.values()) context.halted();
    await Promise.all(this.#lanes.map(({ queue }) => queue.onIdle()));
  }

  async #freeOwnLeases(): Promise<void> {
    const { writer, nodeId, log } = this.#options;
    await writer
      .write((tx) => tx.tasks.freeLeases(nodeId))
      .catch((thrown: unknown) => log.error({ err: thrown }, 'the leases of an earlier run were not freed'));
  }

  async #claimWhileWoken(): Promise<void> {
    while (this.#claimAgain && this.#stopped === undefined) {
      this.#claimAgain = false;
      try {
        for (const lane of this.#lanes) await this.#fill(lane);
        await this.#finishCancelled();
      } catch (thrown) {
        this.#options.log.error({ err: thrown }, 'claiming failed');
      }
    }
    this.#claiming = undefined;
  }

  /** Finishes running tasks whose cancellation was requested; every renewal of a lease checks again. */
  async #finishCancelled(): Promise<void> {
    if (this.#contexts.size === 0 || performance.now() < this.#cancelsReadAtMs + CANCELS_READ_EVERY_MS) return;
    this.#cancelsReadAtMs = performance.now();
    for (const id of await this.#options.store.tasks.cancelRequested()) this.#contexts.get(id)?.finishFor('cancel');
  }

  /** Claims for one lane until it is full or nothing is left. */
  async #fill(into: LaneQueue): Promise<void> {
    for (;;) {
      const { log } = this.#options;
      const free = into.concurrency - into.queue.pending - into.queue.size;
      if (free <= 0 || this.#stopped !== undefined) return;
      const limit = Math.min(free, CLAIMS_PER_WRITE);
      const claimed = await this.#claim(into, limit);
      for (const each of claimed) background('task.run', log, () => into.queue.add(() => this.#run(each)));
      if (claimed.length < limit) return;
    }
  }

  async #claim(into: LaneQueue, limit: number): Promise<Claimed[]> {
    const { writer, nodeId, leaseMs } = this.#options;
    const held = this.#shares(into);
    return writer.write(async (tx) => {
      const shares = new Map(held);
      const claimed: Claimed[] = [];
      // Of the transaction: a clock that is set in its middle must not make a lease or a deadline look over.
      const at = { wallMs: tx.now(), monotonicMs: performance.now() };
      while (claimed.length < limit) {
        const lease = { owner: nodeId, leaseMs, now: at.wallMs, kinds: into.kinds };
        const exceptProjects = overShare(shares, into.concurrency);
        // Projects below their share come first, but a lane is never left idle for the sake of fairness.
        const task =
          (await tx.tasks.claimNext({ ...lease, exceptProjects })) ??
          (exceptProjects.length === 0 ? undefined : await tx.tasks.claimNext(lease));
        if (task === undefined) break;
        claimed.push({ task, at });
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

  async #run({ task, at }: Claimed): Promise<void> {
    const { writer, leaseMs, log } = this.#options;
    const context = new TaskContext(task, { writer, leaseMs, at });
    // An earlier claim of this node whose lease expired unnoticed: the older runner must stop.
    this.#contexts.get(task.id)?.halted();
    this.#contexts.set(task.id, context);
    const now = () => performance.now();
    const deadline = new LongTimer(now() + context.leftMs, () => context.finishFor('deadline'), { now });
    if (task.cancelRequestedAt !== null) context.finishFor('cancel');
    else if (context.leftMs <= 0) context.finishFor('deadline');
    try {
      if (this.#stopped !== undefined) context.halted();
      await endTask(context, this.#options.kinds.get(task.kind), await this.#work(context));
    } catch (thrown) {
      await this.#leave(context, thrown, log);
    } finally {
      deadline.stop();
      // After an internal fault other machines of the task may still be running: they stop as well.
      context.halted();
      if (this.#contexts.get(task.id) === context) this.#contexts.delete(task.id);
      this.wake();
    }
  }

  async #work(context: TaskContext): Promise<TaskOutcome> {
    const { kinds, deps, nodeId } = this.#options;
    const { task, finishReason } = context;
    // A task that was cut short in the queue never begins. It may be claimed before its turn.
    if (task.startedAt === null && finishReason !== undefined) {
      const outcome = taskOutcome({ tickets: [], finishReason, unfinished: true });
      return finishReason === 'deadline' ? { ...outcome, errorDetail: await this.#whyNotStarted(task) } : outcome;
    }
    const kind = kinds.get(task.kind);
    // Both at once, so that the kind's first write shares the commit of the start. Writes keep their order, and when
    // the first fails, the context is halted before the second.
    const [, outcome] = await Promise.all([startTask(context, kind, nodeId), kind.run(context, deps)]);
    return outcome;
  }

  async #whyNotStarted(task: Task): Promise<string> {
    const blockers = await this.#options.store.tasks.blockers(task);
    const waited = blockers.length === 0 ? '' : `: it waited for ${blockers.join(', ')}`;
    return `the deadline passed before it started${waited}`;
  }

  /** Handles a run that stopped without an end: it was halted, or an internal fault occurred. */
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
    await this.#freeLease(context);
  }

  async #freeLease({ fence }: TaskContext): Promise<void> {
    try {
      await this.#options.writer.write((tx) => tx.tasks.freeLease(fence));
    } catch {
      // Owned by another node now, or ended, or the store fails: then the lease expires by itself.
    }
  }

  #renewAll(): void {
    for (const context of this.#contexts.values()) {
      background('lease.renewal', this.#options.log, () => renew(context));
    }
  }
}

async function renew(context: TaskContext): Promise<void> {
  try {
    await context.renew();
  } catch (thrown) {
    // It has ended, or has another owner.
    if (!(thrown instanceof Halted)) throw thrown;
  }
}

function laneQueue({ concurrency }: Lane, kinds: readonly string[]): LaneQueue {
  return { kinds, concurrency, queue: new PQueue({ concurrency }) };
}

/** The projects that hold their full share of a lane, computed as if one more project were active. */
function overShare(shares: ReadonlyMap<string, number>, concurrency: number): string[] {
  const share = Math.max(1, Math.floor(concurrency / (shares.size + 1)));
  return [...shares].filter(([, held]) => held >= share).map(([project]) => project);
}
