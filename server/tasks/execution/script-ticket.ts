// Runs one script ticket at one tentacle: starts it (once, whatever is lost on the path), follows its log, commits the
// last line together with the ticket's end, and cancels the script when the task is cancelled or out of time.
import { IsthmusError } from '../../../contract/errors.ts';
import type { GrpcClient } from '../../../lib/grpc/client.ts';
import { createMasker, type Masker } from '../../../lib/masking/masker.ts';
import { pause, whenAborted } from '../../../lib/async/waiting.ts';
import type { ScriptPayload } from '../../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { ScriptStatus__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import type { NewLogLine } from '../../store/tasks/log-lines.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import { truncate } from './truncate.ts';
import type { FinishReason } from '../context.ts';
import { logMasker } from '../logs/log-masker.ts';
import { LogMeter } from '../logs/log-quota.ts';
import { followLog, type LogCommit, type StartOrder } from '../logs/log-stream.ts';
import { endInDoubtStart } from './in-doubt-start.ts';
import {
  endTicket,
  envelopeOf,
  markSent,
  mayHaveRunElsewhere,
  reachExecutor,
  replaced,
  type MachineRun,
} from './machine-run.ts';
import { denialEnd, errorPatch, failure, unansweredEnd, type TicketEnding as Ending } from './ticket-end.ts';
import { hasEnded } from '../outcome.ts';
import { isConnectionFailure } from './call-with-failover.ts';

/** Runs `ticket` to its end, continuing from what its row says. Returns the ended row. */
export async function runScriptTicket(run: MachineRun, ticket: Ticket, payload: ScriptPayload): Promise<Ticket> {
  if (hasEnded(ticket)) return ticket;
  const masker = maskerFor(payload);
  if (masker instanceof IsthmusError) return endTicket(run.context, ticket.id, denialEnd(run.context, masker));
  const running = new ScriptTicket(run, ticket, payload, masker);
  const ended = await running.run();
  if (ended.startedAt !== null) run.deps.completionReporter.add(ended, run.context.fence, running.completed);
  return ended;
}

/** An error when the values cannot be masked: then no line may be stored, so the script may not start. */
function maskerFor(payload: ScriptPayload): Masker | IsthmusError {
  try {
    return createMasker(payload.sensitiveValues ?? []);
  } catch (thrown) {
    return IsthmusError.from(thrown);
  }
}

/** How long a machine may be unable to accept a script, with no descriptor or memory left, before that is its end. */
const NOT_STARTED_TIMEOUT_MS = 30_000;

/** Reports that the machine has answered, now or before. */
type Answered = () => Promise<void>;

class ScriptTicket {
  readonly #run: MachineRun;
  readonly #payload: ScriptPayload;
  readonly #masker: Masker;
  readonly #mask: (lines: readonly NewLogLine[]) => NewLogLine[];
  /** Aborts when a cancel was not answered within its limit. */
  readonly #gaveUp = new AbortController();
  #meter: LogMeter | undefined;
  /** The last lines within the quota, once it is exceeded. */
  #lastFitting: readonly NewLogLine[] = [];
  #ticket: Ticket;
  /** Whether the log's stream has already reported to the tentacle that everything is stored. */
  completed: Promise<boolean> = Promise.resolve(false);

  constructor(run: MachineRun, ticket: Ticket, payload: ScriptPayload, masker: Masker) {
    this.#run = run;
    this.#ticket = ticket;
    this.#payload = payload;
    this.#masker = masker;
    this.#mask = logMasker(masker, ticket.storedLine > 0);
  }

  async run(): Promise<Ticket> {
    try {
      const unsent = await this.#start();
      return unsent === undefined ? await this.#follow() : await this.#end(unsent);
    } catch (thrown) {
      const { context } = this.#run;
      if (thrown instanceof IsthmusError && thrown.code === 'LOG_QUOTA') return this.#endOverQuota(thrown);
      if (context.finish.aborted && isStartInDoubt(thrown)) return this.#endInDoubt();
      return this.#end(denialEnd(context, thrown, this.#ticket));
    }
  }

  /** The start was in flight when the task was cut short, and has not arrived. */
  async #endInDoubt(): Promise<Ticket> {
    try {
      const ending = await endInDoubtStart(this.#run, this.#ticket);
      return ending === undefined ? await this.#follow() : await this.#end(ending);
    } catch (thrown) {
      return this.#end(denialEnd(this.#run.context, thrown, this.#ticket));
    }
  }

  /** Sends the start. Undefined once the tentacle may have the ticket; an ending when it was never sent. */
  async #start(): Promise<Ending | undefined> {
    const { context, reachabilityTimeout } = this.#run;
    const notStartedUntilMs = performance.now() + NOT_STARTED_TIMEOUT_MS;
    const isTransient = ({ code }: IsthmusError) => code === 'SPAWN_FAILED' && performance.now() < notStartedUntilMs;
    const reached = await reachExecutor(
      this.#run,
      { signals: [context.finish], reachabilityTimeout, isTransient },
      async (client, answered) => {
        this.#ticket = await markSent(this.#run, this.#ticket);
        await this.#cancellable(() => this.#startOn(client, answered));
      },
    );
    if (reached.kind === 'answered') return undefined;
    return this.#ticket.state === 'pending' ? unansweredEnd(this.#run, this.#ticket, reached.lastError) : undefined;
  }

  /** Starts the script, and follows its log on the same stream as long as that lasts. */
  async #startOn(client: GrpcClient<TentacleClient>, answered: Answered): Promise<void> {
    const { callDeadlineMs: deadlineMs } = this.#run.deps.tunables;
    const envelope = envelopeOf(this.#run, this.#ticket, { kind: 'script', payload: this.#payload });
    let started = false;
    const onStarted = async (status: ScriptStatus__Output): Promise<void> => {
      started = true;
      await answered();
      await this.#reportWaiting(truncate(status));
    };
    try {
      await this.#followOn(client, answered, { envelope, deadlineMs, onStarted });
    } catch (thrown) {
      // The start was answered; a new stream will follow the log.
      if (started && thrown instanceof IsthmusError && isConnectionFailure(thrown)) return;
      throw thrown;
    }
  }

  async #reportWaiting({ phase, heldBy }: ScriptStatus__Output): Promise<void> {
    if (phase !== 'WAITING') return;
    const { context, target } = this.#run;
    const ticket = this.#ticket.id;
    await context.message(`${target}: waits for task ${heldBy} to leave the machine`, {
      machine: target,
      ticket,
      data: { heldBy },
    });
  }

  /** Follows the log to its end, over as many streams as that takes. */
  async #follow(): Promise<Ticket> {
    if (hasEnded(this.#ticket)) return this.#ticket;
    return this.#cancellable(async () => {
      const limits = { signals: [this.#gaveUp.signal] };
      const reached = await reachExecutor(this.#run, limits, (client, answered) => this.#followOn(client, answered));
      if (hasEnded(this.#ticket)) return this.#ticket;
      const lastError = reached.kind === 'gaveUp' ? reached.lastError : undefined;
      return this.#end(unansweredEnd(this.#run, this.#ticket, lastError));
    });
  }

  /** Follows the log over one stream; with `start`, starts the script on it first. */
  async #followOn(client: GrpcClient<TentacleClient>, answered: Answered, start?: StartOrder): Promise<void> {
    const { context, deps, executor } = this.#run;
    this.#meter ??= await LogMeter.of(deps.tunables.logQuota, deps.store.logLines, this.#ticket);
    const following = new AbortController();
    const noticed = this.#noticeRunning(client, following.signal).catch(() => undefined);
    const { completed } = await followLog({
      client,
      ticket: this.#ticket.id,
      executor,
      fence: context.fence,
      storedLine: this.#ticket.storedLine,
      start,
      mayHaveRunElsewhere: () => mayHaveRunElsewhere(this.#run, this.#ticket),
      commit: async (commit) => {
        await answered();
        return this.#commit(commit);
      },
      signals: [context.halt, this.#gaveUp.signal],
    })
      .catch((thrown: unknown) => {
        const isUnknown = thrown instanceof IsthmusError && thrown.code === 'TICKET_UNKNOWN';
        throw isUnknown && mayHaveRunElsewhere(this.#run, this.#ticket) ? replaced(this.#run, this.#ticket) : thrown;
      })
      .finally(async () => {
        following.abort();
        await noticed;
      });
    this.completed = completed;
  }

  /** Asks whether the script runs while it says nothing; its first line says so, too. */
  async #noticeRunning(client: GrpcClient<TentacleClient>, following: AbortSignal): Promise<void> {
    const { context, deps } = this.#run;
    const { fence } = context;
    const { callDeadlineMs: deadlineMs, silentMs } = deps.tunables;
    const key = { ticket: this.#ticket.id, task: fence.task, epoch: fence.epoch };
    for (let waitMs = silentMs; this.#ticket.state === 'sent'; waitMs = 5 * silentMs) {
      await pause(waitMs, following);
      if (following.aborted) return;
      const { phase } = await client.unary<ScriptStatus__Output>((c, o, done) => c.getScript(key, o, done), {
        deadlineMs,
        signal: following,
      });
      if (phase === 'RUNNING') await this.#markRunning();
    }
  }

  async #markRunning(): Promise<void> {
    const { context } = this.#run;
    const { id } = this.#ticket;
    await context.write(async (tx) => {
      // Its first line, or its end, may have been stored since.
      const { state } = await tx.tickets.get(id);
      if (state === 'sent') await tx.tickets.updateFenced(context.fence, id, { state: 'running' });
    });
    if (this.#ticket.state === 'sent') this.#ticket = { ...this.#ticket, state: 'running' };
  }

  /** Cancels the script when the task is cut short before `work` is done. */
  async #cancellable<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = new AbortController();
    const cancelling: Promise<void>[] = [];
    const unsubscribe = whenAborted(this.#run.context.finish, () => cancelling.push(this.#cancel(done.signal)));
    try {
      return await work();
    } finally {
      unsubscribe();
      done.abort();
      await Promise.all(cancelling);
    }
  }

  /** Stores lines in one transaction with the ticket's state, and with its end when they are the last ones. */
  async #commit({ firstLine, lines, end }: LogCommit): Promise<number> {
    const { context } = this.#run;
    const id = this.#ticket.id;
    const next = this.#ticket.storedLine + 1;
    // Masked at the source already; again here, so that a tentacle's mistake does not reach the database.
    const fresh = this.#mask(lines.slice(Math.max(0, next - firstLine)));
    const fitting = this.#meter?.fitting(fresh) ?? fresh.length;
    if (fitting < fresh.length) {
      this.#lastFitting = fresh.slice(0, fitting);
      throw new IsthmusError('LOG_QUOTA', `${this.#run.executor} sent more log than one script may store`, {
        hop: this.#run.executor,
      });
    }
    const now = Date.now();
    this.#ticket = await context.write(async (tx) => {
      // A batch that only ends the log has nothing to store, and the change of state is fenced by itself.
      const onlyEnds = end !== undefined && fresh.length === 0 && firstLine <= next;
      const stored = onlyEnds
        ? this.#ticket.storedLine
        : await tx.logLines.append(context.fence, id, Math.max(firstLine, next), fresh);
      if (end !== undefined && end.lastLine <= stored) {
        // Masked before it is truncated: half of a value would no longer be found.
        const status = truncate({ ...end, errorDetail: this.#masker.mask(end.errorDetail) });
        const ending = endingOf(status, context.finishReason, this.#run.executor);
        return tx.tickets.updateFenced(context.fence, id, { ...ending, endedAt: now }, now);
      }
      if (this.#ticket.state === 'sent' && (await tx.tickets.get(id)).state === 'sent') {
        await tx.tickets.updateFenced(context.fence, id, { state: 'running' }, now);
      }
      return { ...this.#ticket, state: 'running', storedLine: stored };
    });
    this.#meter?.add(fresh);
    return this.#ticket.storedLine;
  }

  /** Tries to cancel the script, and ends its ticket with the lines within the quota and one that says why. */
  async #endOverQuota(error: IsthmusError): Promise<Ticket> {
    const { context, deps } = this.#run;
    await this.#requestCancel(AbortSignal.timeout(deps.tunables.cancelLimitMs));
    const now = Date.now();
    const text = 'the log ends here: it is over the quota of the server';
    const marker = { stream: 'agent', at: now, text, ending: 'newline' } as const;
    return context.write(async (tx) => {
      const { id, storedLine } = this.#ticket;
      await tx.logLines.append(context.fence, id, storedLine + 1, [...this.#lastFitting, marker]);
      return tx.tickets.updateFenced(context.fence, id, { state: 'failed', ...errorPatch(error), endedAt: now }, now);
    });
  }

  /** Tries to cancel the script until that is answered, the script has ended, or the limit is reached. */
  async #cancel(done: AbortSignal): Promise<void> {
    const { context, deps } = this.#run;
    const limit = pause(deps.tunables.cancelLimitMs, done, context.halt).then(() => {
      if (!done.aborted) this.#gaveUp.abort();
    });
    await this.#requestCancel(done);
    await limit;
  }

  /** Repeats the request until it is answered or `done` aborts. */
  async #requestCancel(done: AbortSignal): Promise<void> {
    const { context, deps } = this.#run;
    try {
      await reachExecutor(this.#run, { signals: [done, this.#gaveUp.signal] }, (client) => {
        const payload = { reason: context.finishReason ?? 'cancel' };
        const envelope = envelopeOf(this.#run, this.#ticket, { kind: 'cancel', payload });
        return client.unary((c, o, finished) => c.cancelScript({ envelope }, o, finished), {
          deadlineMs: deps.tunables.callDeadlineMs,
          signal: done,
        });
      });
    } catch {
      // A denial, or a halt: the end of the log, or the limit, decides how the ticket ends.
    }
  }

  #end(ending: Ending): Promise<Ticket> {
    return endTicket(this.#run.context, this.#ticket.id, ending);
  }
}

/** Consumed or not known: a cancel that arrives before the start consumes the ticket. */
function isStartInDoubt(thrown: unknown): boolean {
  return thrown instanceof IsthmusError && (thrown.code === 'TICKET_UNKNOWN' || thrown.code === 'TICKET_ALREADY_USED');
}

const CANCELLED_AT_DEADLINE = 'cancelled at the deadline of the task';

/** `exit code 163 (signal 35)` */
function exitText(exitCode: number | null, signal: number | null): string {
  return `exit code ${exitCode ?? 'unknown'}${signal === null ? '' : ` (signal ${signal})`}`;
}

/** The ticket's end as the tentacle reports it. */
function endingOf(status: ScriptStatus__Output, reason: FinishReason | undefined, executor: string): Ending {
  const { phase, errorCode, errorDetail } = status;
  const signal = status.signal === 0 ? null : status.signal;
  const exit = { exitCode: status.exitCode ?? null, signal };
  const reported = errorCode === '' ? undefined : failure(errorCode, errorDetail, executor);
  switch (phase) {
    case 'EXITED':
    case 'COMPLETED':
      if (reported !== undefined) return { state: 'failed', ...exit, ...reported };
      if (exit.exitCode === 0 && signal === null) return { state: 'succeeded', ...exit };
      return { state: 'failed', ...exit, ...failure('SCRIPT_FAILED', exitText(exit.exitCode, signal), executor) };
    case 'CANCELLED':
      if (reason !== 'deadline') return { state: 'cancelled', ...exit, errorCode: 'CANCELLED' };
      return { state: 'timed_out', ...exit, ...failure('TASK_DEADLINE', CANCELLED_AT_DEADLINE, executor) };
    case 'TIMED_OUT':
      return { state: 'timed_out', ...exit, ...(reported ?? failure('TIME_LIMIT', 'over its time limit', executor)) };
    default:
      return { state: 'interrupted', ...(reported ?? failure('SCRIPT_INTERRUPTED', 'its end is not known', executor)) };
  }
}
