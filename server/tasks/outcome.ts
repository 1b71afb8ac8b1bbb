// Derives a task's end from the ends of its tickets. Pure, so that a resumed task ends as an uninterrupted one does.
import type { ErrorCode } from '../../contract/errors.ts';
import { END_STATES, type EndState, type TicketState } from '../../contract/tasks.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { FinishReason } from './context.ts';

export interface TaskOutcome {
  readonly state: EndState;
  readonly errorCode?: ErrorCode | undefined;
  readonly errorDetail?: string | undefined;
}

const ENDED: ReadonlySet<TicketState> = new Set([...END_STATES, 'skipped']);

/** Whether a ticket has reached its end. */
export function hasEnded(ticket: Pick<Ticket, 'state'>): boolean {
  return ENDED.has(ticket.state);
}

interface TaskEndFacts {
  readonly tickets: readonly Pick<Ticket, 'state' | 'target' | 'errorCode'>[];
  /** Set when the task was cancelled or its deadline passed. */
  readonly finishReason: FinishReason | undefined;
  /** Whether steps remain that have no tickets. */
  readonly unfinished: boolean;
}

/**
 * The worst end wins: an unknown result, then the reason why the task was cut short, then failure. A cancel after
 * everything has succeeded changes nothing. Machines that were left out neither prevent a success nor count as one.
 */
export function taskOutcome({ tickets, finishReason, unfinished }: TaskEndFacts): TaskOutcome {
  const machinesIn = (...states: TicketState[]) =>
    [...new Set(tickets.filter(({ state }) => states.includes(state)).map(({ target }) => target))].sort();
  const interrupted = machinesIn('interrupted');
  if (interrupted.length > 0) {
    return {
      state: 'interrupted',
      errorCode: 'SCRIPT_INTERRUPTED',
      errorDetail: `interrupted on ${list(interrupted)}`,
    };
  }
  const cutShort = unfinished || machinesIn('cancelled').length > 0;
  if (finishReason === 'cancel' && cutShort) return { state: 'cancelled', errorCode: 'CANCELLED' };
  const failed = machinesIn('failed', 'timed_out', 'cancelled');
  const timedOut = machinesIn('timed_out');
  if (finishReason === 'deadline' && (unfinished || timedOut.length > 0)) {
    const left = machinesIn('timed_out', 'cancelled');
    const where = left.length === 0 ? 'before it was done' : `with work left on ${list(left)}`;
    return { state: 'timed_out', errorCode: 'TASK_DEADLINE', errorDetail: `the deadline passed ${where}` };
  }
  const skipped = machinesIn('skipped');
  if (failed.length === 0 && skipped.length > 0 && !tickets.some(({ target }) => !skipped.includes(target))) {
    return {
      state: 'failed',
      errorCode: 'MACHINES_FAILED',
      errorDetail: `every machine was left out: ${list(skipped)}`,
    };
  }
  if (failed.length === 0) return { state: 'succeeded' };
  if (timedOut.length === failed.length) {
    return { state: 'timed_out', errorCode: 'TIME_LIMIT', errorDetail: `over the time limit on ${list(timedOut)}` };
  }
  return { state: 'failed', errorCode: 'MACHINES_FAILED', errorDetail: `failed on ${list(failed)}` };
}

function list(machines: readonly string[]): string {
  const shown = machines.slice(0, 10).join(', ');
  return machines.length > 10 ? `${shown} and ${machines.length - 10} more` : shown;
}
