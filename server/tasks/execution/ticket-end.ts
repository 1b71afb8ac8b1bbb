// How a ticket of any kind ends when its executor gave no result. One rule for all of them:
//   1. the machine may have acted, and nobody knows how far   → interrupted
//   2. the task was cancelled                                 → cancelled
//   3. its deadline passed, whatever was wrong before         → timed_out
//   4. else the error decides                                 → failed, or skipped
// What the machine itself answers counts whenever it arrives.
import { IsthmusError, isErrorCode, type ErrorCode } from '../../../contract/errors.ts';
import type { TicketState } from '../../../contract/tasks.ts';
import type { Ticket, TicketPatch } from '../../store/tasks/tickets.ts';
import { Halted, type TaskContext } from '../context.ts';

/** How a ticket ends. */
export type TicketEnding = TicketColumns & { readonly state: TicketState };
/** The columns recorded beside a state. */
type TicketColumns = Omit<TicketPatch, 'state'>;

/** What decides how an unanswered ticket ends. */
export interface UnansweredRun {
  readonly context: TaskContext;
  /** The tentacle that is called. */
  readonly executor: string;
  /** How a ticket ends whose executor could not be reached in time. */
  readonly onUnreachable: 'fail' | 'skip';
}

/** The end of a ticket whose executor has not answered in time; `lastError` says why it could not be reached. */
export function unansweredEnd(
  { context, onUnreachable, executor }: UnansweredRun,
  ticket: Pick<Ticket, 'state' | 'action'>,
  lastError: IsthmusError | undefined,
): TicketEnding {
  if (mayHaveRun(ticket)) {
    const why = lastError === undefined ? '' : `: ${lastError.message}`;
    const columns = failure('SCRIPT_INTERRUPTED', `not answered in time${why}`, lastError?.hop ?? executor);
    return { state: 'interrupted', ...columns };
  }
  if (context.finish.aborted || lastError === undefined) return cutShortEnd(context, lastError);
  return { state: onUnreachable === 'skip' ? 'skipped' : 'failed', ...errorPatch(lastError) };
}

/** The end of a ticket whose task was cancelled or out of time before the machine did its work. */
export function cutShortEnd(
  { finishReason }: Pick<TaskContext, 'finishReason'>,
  lastError?: IsthmusError,
): TicketEnding {
  if (finishReason === 'cancel') return { state: 'cancelled', errorCode: 'CANCELLED' };
  const detail =
    lastError === undefined ? 'the deadline passed before it was done' : `the deadline passed: ${lastError.message}`;
  // More time does not help a machine that is denied.
  const code = lastError?.code === 'NODE_CLONED' ? lastError.code : 'TASK_DEADLINE';
  return { state: 'timed_out', ...failure(code, detail, lastError?.hop) };
}

/** Why a step does not run after one that did not succeed. */
export function afterFailureOf(label: string, state: TicketState): TicketColumns {
  return failure('EARLIER_STEP_FAILED', `${label}: ${state.replace('_', ' ')}`);
}

/** Whether the machine may have acted without our knowing. */
export function mayHaveRun({ state, action }: Pick<Ticket, 'state' | 'action'>): boolean {
  return state !== 'pending' && !HARMLESS.has(action);
}

/** Actions that change nothing that runs. */
const HARMLESS: ReadonlySet<string> = new Set(['acquire', 'stage', 'settle']);

/**
 * The end of a ticket after a tentacle's denial, or after a failure to prepare its step. Pass `ticket` as it was when
 * it may have reached the machine.
 */
export function denialEnd(context: TaskContext, thrown: unknown, ticket?: Ticket): TicketEnding {
  if (thrown instanceof Halted || context.halt.aborted) throw thrown;
  const error = IsthmusError.from(thrown);
  if (error.code === 'STALE_EPOCH') {
    // The tentacle has seen a later owner, which continues.
    context.halted();
    throw new Halted();
  }
  // A revoked machine gives no further answer, whatever it was doing.
  const cutOff = error.code === 'MACHINE_REVOKED' && ticket !== undefined && mayHaveRun(ticket);
  return { state: cutOff || UNKNOWABLE.has(error.code) ? 'interrupted' : 'failed', ...errorPatch(error) };
}

/** Answers after which it is unknown what ran. */
const UNKNOWABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ANSWER_MALFORMED',
  'INTERNAL',
  'JOURNAL_DAMAGED',
  'LOG_GAP',
  'LOG_MALFORMED',
  'NODE_REPLACED',
  'TICKET_MISMATCH',
  'SCRIPT_INTERRUPTED',
  'TICKET_ALREADY_USED',
  'TICKET_UNKNOWN',
]);

/** The columns that record an error. */
export function errorPatch(error: IsthmusError): TicketColumns {
  return { errorCode: error.code, errorDetail: error.message, errorHop: error.hop ?? null };
}

/** As `errorPatch`, for a code and a detail. */
export function failure(code: string, detail: string, hop?: string): TicketColumns {
  return { errorCode: isErrorCode(code) ? code : 'INTERNAL', errorDetail: detail, errorHop: hop ?? null };
}
