// What running a ticket needs, and the steps that every kind of ticket takes: it is sent, changed, ended.
import { IsthmusError, type ErrorCode } from '../../../contract/errors.ts';
import type { Ticket, TicketPatch } from '../../store/tasks/tickets.ts';
import type { Store, StoreTransaction } from '../../store/store.ts';
import type { CompletionReporter } from './completion-reporter.ts';
import { Halted, type TaskContext } from '../context.ts';
import { buildEnvelope, type SignEnvelope, type TicketWork } from './envelopes.ts';
import { AnswerTimeout } from './answer-timeout.ts';
import { reach, type ReachOptions, type ReachTunables, type Reached, type TentacleCall } from './call-with-failover.ts';
import { DEFAULT_LOG_QUOTA, type LogQuota } from '../logs/log-quota.ts';
import type { RoutesOf } from '../routes.ts';
import type { Tentacles } from './tentacles.ts';
import type { TicketEnding, UnansweredRun } from './ticket-end.ts';

export interface TicketTunables extends ReachTunables {
  /** For one unary call. Longer than a heartbeat timeout: a dead link ends the call earlier by itself. */
  readonly callDeadlineMs: number;
  /** After this long without a line a script is asked whether it runs. */
  readonly silentMs: number;
  /** How long a cancel is tried before the state of the machine counts as unknown. */
  readonly cancelLimitMs: number;
  /** The most log that one ticket may store. */
  readonly logQuota: LogQuota;
}

export const TICKET_DEFAULTS: TicketTunables = {
  retryBaseMs: 100,
  retryCapMs: 3_000,
  callDeadlineMs: 20_000,
  silentMs: 1_000,
  cancelLimitMs: 60_000,
  logQuota: DEFAULT_LOG_QUOTA,
};

export interface TicketDeps {
  readonly store: Pick<Store, 'logLines' | 'machines' | 'tickets'>;
  readonly routesOf: RoutesOf;
  /** Rises whenever a process acts as this machine that may lack the journal of the one before. */
  readonly journalGeneration: (machine: string) => number;
  readonly tentacles: Tentacles;
  readonly sign: SignEnvelope;
  readonly completionReporter: CompletionReporter;
  readonly tunables: TicketTunables;
}

export interface MachineRun extends UnansweredRun {
  readonly deps: TicketDeps;
  /** The machine that the ticket is about. */
  readonly target: string;
  /** Ends the wait for an unreachable executor before the task's deadline does. */
  readonly reachabilityTimeout?: AbortSignal | undefined;
  /** So does this long without an answer, as it is when the wait begins. */
  readonly answerLimitMs?: (() => number) | undefined;
}

type ReachLimits = Pick<ReachOptions, 'signals' | 'reachabilityTimeout' | 'isTransient'>;

/** A call that may take long: it calls `answered` when the machine has answered for the first time. */
type LongCall<Result> = (
  ...of: [...Parameters<TentacleCall<Result>>, answered: () => Promise<void>]
) => Promise<Result>;

/**
 * Calls the executor until it answers or one of `signals` aborts. Messages in the task's stream say why it cannot be
 * reached, and when it can again.
 */
export async function reachExecutor<Result>(
  { context, deps, target, executor, answerLimitMs }: MachineRun,
  { signals, reachabilityTimeout, isTransient }: ReachLimits,
  call: LongCall<Result>,
): Promise<Reached<Result>> {
  let failing = false;
  const timeout = answerLimitMs === undefined ? undefined : new AnswerTimeout(answerLimitMs);
  const ends = [reachabilityTimeout, timeout?.signal].filter((signal) => signal !== undefined);
  const answered = async (): Promise<void> => {
    timeout?.answered();
    if (!failing) return;
    failing = false;
    await context.message(`${target}: reached again`, { machine: target });
  };
  const reached = await reach<Result>(
    {
      ...deps.tunables,
      clients: deps.tentacles,
      node: executor,
      routes: () => deps.routesOf(executor),
      signals: [context.halt, ...signals],
      reachabilityTimeout: ends.length === 0 ? undefined : AbortSignal.any(ends),
      isTransient,
      onFailing: async (error) => {
        failing = true;
        const { code, hop, remedy, action } = error;
        await context.message(`${target}: ${error.message}; trying again`, {
          machine: target,
          level: 'warning',
          code,
          data: { hop, ...(action === undefined ? {} : { remedy, action }) },
        });
      },
    },
    (client) =>
      call(client, answered).catch((thrown: unknown) => {
        timeout?.waits();
        throw thrown;
      }),
  ).finally(() => timeout?.answered());
  if (context.halt.aborted) throw new Halted();
  if (reached.kind === 'answered') await answered();
  return reached;
}

/** Commits that the ticket may have been sent. Call it once connected, before the first sending. */
export async function markSent({ context, deps, executor }: MachineRun, ticket: Ticket): Promise<Ticket> {
  await context.assertOwned();
  if (ticket.state !== 'pending') return ticket;
  const journalGeneration = deps.journalGeneration(executor);
  return patchTicket(context, ticket.id, { state: 'sent', startedAt: Date.now(), journalGeneration });
}

/**
 * Whether the ticket may have been sent to a process whose journal the present one lacks: a copy of its folder, an
 * older state of it, or the same machine after a boot. It may have run there, so it is never sent again.
 */
export function mayHaveRunElsewhere({ deps, executor }: MachineRun, { journalGeneration }: Ticket): boolean {
  return journalGeneration !== null && journalGeneration !== deps.journalGeneration(executor);
}

/** The error of such a ticket, where the present process knows nothing of it. */
export function replaced({ executor }: MachineRun, { id }: Ticket): IsthmusError {
  const detail = `another process acts as ${executor} since ticket ${id} was sent to it, and does not know the ticket`;
  return new IsthmusError('NODE_REPLACED', detail, { hop: executor });
}

/** One fenced change of a ticket. */
export function patchTicket(context: TaskContext, id: string, patch: TicketPatch): Promise<Ticket> {
  return context.write((tx) => tx.tickets.updateFenced(context.fence, id, patch, Date.now()));
}

/** Errors that show misbehaviour of the machine rather than of its work: they are recorded as a denial. */
const MISBEHAVIOURS: ReadonlySet<string> = new Set<ErrorCode>(['ANSWER_MALFORMED', 'LOG_MALFORMED', 'TICKET_MISMATCH']);

/** Ends a ticket; `also` runs in the same transaction. */
export function endTicket(
  context: TaskContext,
  id: string,
  patch: TicketEnding,
  also?: (tx: StoreTransaction, ticket: Ticket) => Promise<void>,
): Promise<Ticket> {
  const now = Date.now();
  return context.write(async (tx) => {
    const ticket = await tx.tickets.updateFenced(context.fence, id, { ...patch, endedAt: now }, now);
    if (MISBEHAVIOURS.has(patch.errorCode ?? '')) await recordMisbehaviour(tx, ticket);
    await also?.(tx, ticket);
    return ticket;
  });
}

async function recordMisbehaviour(tx: StoreTransaction, { id, task, executor, errorCode, errorDetail }: Ticket) {
  await tx.denials.record(executor, {
    actor: executor,
    type: 'ticket.denied',
    subject: executor,
    data: { ticket: id, task, code: errorCode, detail: errorDetail },
  });
}

/** The signed envelope of this sending. */
export function envelopeOf({ context, deps }: MachineRun, ticket: Ticket, work: TicketWork) {
  return buildEnvelope(deps.sign, ticket, context.fence, context.deadlineAt, work);
}
