// What running a ticket needs, and how a ticket of any kind may end for reasons that are not its executor's own.
import { IsthmusError, isErrorCode, type ErrorCode } from '../../../contract/errors.ts';
import type { Ticket, TicketPatch, TicketState } from '../../store/tasks/tickets.ts';
import type { Store, StoreTransaction } from '../../store/store.ts';
import type { CompletionReporter } from './completion-reporter.ts';
import { Halted, type TaskContext } from '../context.ts';
import { buildEnvelope, type SignEnvelope, type TicketWork } from './envelopes.ts';
import { reach, type ReachOptions, type ReachTunables, type Reached, type TentacleCall } from './call-with-failover.ts';
import { defaultLogQuota, type LogQuota } from '../logs/log-quota.ts';
import type { RoutesOf } from '../routes.ts';
import type { Tentacles } from './tentacles.ts';

/** How a ticket ends. */
export type TicketEnding = TicketColumns & { readonly state: TicketState };
/** What is recorded beside a state. */
type TicketColumns = Omit<TicketPatch, 'state'>;

export interface TicketTunables extends ReachTunables {
  /** For one unary call. Longer than a heartbeat timeout: a dead link ends the call earlier by itself. */
  readonly callDeadlineMs: number;
  /** How long a cancel is tried before what runs on the machine counts as unknown. */
  readonly cancelLimitMs: number;
  /** What one ticket may leave of log. */
  readonly logQuota: LogQuota;
}

export const ticketDefaults: TicketTunables = {
  retryBaseMs: 100,
  retryCapMs: 3_000,
  callDeadlineMs: 20_000,
  cancelLimitMs: 60_000,
  logQuota: defaultLogQuota,
};

export interface TicketDeps {
  readonly store: Pick<Store, 'logLines' | 'machines' | 'tickets'>;
  readonly routesOf: RoutesOf;
  readonly tentacles: Tentacles;
  readonly sign: SignEnvelope;
  readonly completionReporter: CompletionReporter;
  readonly tunables: TicketTunables;
}

export interface MachineRun {
  readonly context: TaskContext;
  readonly deps: TicketDeps;
  /** The machine that the ticket is about, and the tentacle that is called for it. */
  readonly target: string;
  readonly executor: string;
  /** What becomes of a ticket whose executor could not be reached in time. */
  readonly onUnreachable: 'fail' | 'skip';
  /** Ends the wait for an unreachable executor before the task's deadline does. */
  readonly reachabilityTimeout?: AbortSignal | undefined;
}

type ReachLimits = Pick<ReachOptions, 'signals' | 'reachabilityTimeout' | 'isPassing'>;

/** A call that may last: it says itself when the machine has answered for the first time. */
type LastingCall<Result> = (
  ...of: [...Parameters<TentacleCall<Result>>, answered: () => Promise<void>]
) => Promise<Result>;

/**
 * Calls the executor until it answers or one of `signals` aborts; tells the task's readers what stands in the way, and
 * when that is over.
 */
export async function reachExecutor<Result>(
  { context, deps, target, executor }: MachineRun,
  { signals, reachabilityTimeout, isPassing }: ReachLimits,
  call: LastingCall<Result>,
): Promise<Reached<Result>> {
  let failing = false;
  const answered = async (): Promise<void> => {
    if (!failing) return;
    failing = false;
    await context.note(`${target}: reached again`, { machine: target });
  };
  const reached = await reach<Result>(
    {
      ...deps.tunables,
      tentacles: deps.tentacles,
      machine: executor,
      routes: () => deps.routesOf(executor),
      signals: [context.halt, ...signals],
      reachabilityTimeout,
      isPassing,
      onFailing: async (error) => {
        failing = true;
        const { code, hop } = error;
        await context.note(`${target}: ${error.message}; trying again`, {
          machine: target,
          level: 'warning',
          code,
          data: { hop },
        });
      },
    },
    (client) => call(client, answered),
  );
  if (context.halt.aborted) throw new Halted();
  if (reached.kind === 'answered') await answered();
  return reached;
}

/** Commits that the ticket may have been sent from here on. Call it once connected, before the first sending. */
export async function markSent({ context }: MachineRun, ticket: Ticket): Promise<Ticket> {
  await context.assertOwned();
  if (ticket.state !== 'pending') return ticket;
  return patchTicket(context, ticket.id, { state: 'sent', startedAt: Date.now() });
}

/** One fenced change of a ticket. */
export function patchTicket(context: TaskContext, id: string, patch: TicketPatch): Promise<Ticket> {
  return context.write((tx) => tx.tickets.updateFenced(context.fence, id, patch, Date.now()));
}

/** Ends that tell more of the machine than of its work: a denial says so. */
const MISBEHAVIOURS: ReadonlySet<string> = new Set<ErrorCode>(['ANSWER_MALFORMED', 'LOG_MALFORMED', 'TICKET_MISMATCH']);

/** Ends a ticket; with `also` in the same transaction. */
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
  await tx.denials.append({
    actor: executor,
    type: 'ticket.denied',
    subject: executor,
    data: { ticket: id, task, code: errorCode, detail: errorDetail },
  });
}

/** The signed envelope of this sending. */
export function envelopeOf({ context, deps }: MachineRun, ticket: Ticket, work: TicketWork) {
  return buildEnvelope(deps.sign, ticket, context.fence, context.task.deadlineAt, work);
}

/** The end of a ticket that was never sent, or whose sending left nothing behind. */
export function unsentEnd(run: MachineRun, lastError: IsthmusError | undefined): TicketEnding {
  const { context, onUnreachable } = run;
  if (context.finishReason === 'cancel') return { state: 'cancelled', errorCode: 'CANCELLED' };
  if (lastError === undefined) return { state: 'timed_out', ...failure('TASK_DEADLINE', 'its turn did not come') };
  return { state: onUnreachable === 'skip' ? 'skipped' : 'failed', ...errorPatch(lastError) };
}

/** Whether the machine may have done something of which nothing was heard; fetching and staging leave it as it was. */
export function mayHaveRun({ state, action }: Pick<Ticket, 'state' | 'action'>): boolean {
  return state !== 'pending' && action !== 'acquire' && action !== 'stage';
}

/**
 * How a tentacle's denial, or our own failure to prepare a step, ends a ticket. `ticket` is how far it had come, where
 * it may have come to the machine.
 */
export function denialEnd(context: TaskContext, thrown: unknown, ticket?: Ticket): TicketEnding {
  if (thrown instanceof Halted || context.halt.aborted) throw thrown;
  const error = IsthmusError.from(thrown);
  if (error.code === 'STALE_EPOCH') {
    // The tentacle has seen a later owner: that one goes on.
    context.halted();
    throw new Halted();
  }
  // A revoked machine is heard no more, whatever it was doing.
  const cutOff = error.code === 'MACHINE_REVOKED' && ticket !== undefined && mayHaveRun(ticket);
  return { state: cutOff || UNKNOWABLE.has(error.code) ? 'interrupted' : 'failed', ...errorPatch(error) };
}

/** Answers after which nobody can say what ran. */
const UNKNOWABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ANSWER_MALFORMED',
  'INTERNAL',
  'JOURNAL_DAMAGED',
  'LOG_GAP',
  'LOG_MALFORMED',
  'TICKET_MISMATCH',
  'SCRIPT_INTERRUPTED',
  'TICKET_ALREADY_USED',
  'TICKET_UNKNOWN',
]);

/** The columns that record an error. */
export function errorPatch(error: IsthmusError): TicketColumns {
  return { errorCode: error.code, errorDetail: error.message, errorHop: error.hop ?? null };
}

/** As `errorPatch`, for a code and a sentence. */
export function failure(code: string, detail: string, hop?: string): TicketColumns {
  return { errorCode: isErrorCode(code) ? code : 'INTERNAL', errorDetail: detail, errorHop: hop ?? null };
}
