// Turns a ticket's state into the status message of the wire.
import type { ErrorCode } from '../../../contract/errors.ts';
import type { ScriptStatus } from '../../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { ProcessExit, ScriptEnd, TicketState } from '../../journal/records.ts';

export type StatusMessage = Required<Pick<ScriptStatus, 'ticket' | 'heldBy' | 'errorCode' | 'errorDetail'>> & {
  readonly phase: 'WAITING' | 'RUNNING' | 'EXITED' | 'CANCELLED' | 'TIMED_OUT' | 'INTERRUPTED' | 'COMPLETED';
  readonly lastLine: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
} & Partial<ProcessExit>;

interface EndMessage extends Partial<ProcessExit> {
  readonly phase: 'EXITED' | 'CANCELLED' | 'TIMED_OUT' | 'INTERRUPTED';
  readonly errorCode: ErrorCode | '';
  readonly errorDetail: string;
}

/** The exit code of a shell for a command that cannot be run. */
const REJECTED_EXIT_CODE = 126;

/** The status of a ticket. A tombstone keeps the exit code and the error of its end. */
export function statusOf(
  ticket: string,
  state: TicketState,
  now: { readonly lastLine: number; readonly heldBy: string },
): StatusMessage {
  const running = { ticket, endedAtMs: 0, errorCode: '', errorDetail: '', ...now };
  switch (state.phase) {
    case 'waiting':
      return { ...running, phase: 'WAITING', startedAtMs: 0 };
    case 'starting':
      return { ...running, phase: 'RUNNING', startedAtMs: 0 };
    case 'running':
    case 'killing':
      return { ...running, phase: 'RUNNING', startedAtMs: state.startedAtMs };
    case 'ended':
    case 'completed': {
      const { startedAtMs, endedAtMs, lastLine } = state;
      const end = endMessage(state.end, startedAtMs);
      const phase = state.phase === 'completed' ? 'COMPLETED' : end.phase;
      return { ticket, heldBy: '', ...end, phase, startedAtMs, endedAtMs, lastLine };
    }
  }
}

function endMessage(end: ScriptEnd, startedAtMs: number): EndMessage {
  switch (end.kind) {
    case 'exited':
      return { phase: 'EXITED', ...end.exit, errorCode: '', errorDetail: '' };
    case 'cancelled': {
      const errorDetail = startedAtMs === 0 ? 'cancelled before it was started' : 'cancelled';
      return { phase: 'CANCELLED', ...end.exit, errorCode: 'CANCELLED', errorDetail };
    }
    case 'timed-out': {
      const errorDetail = 'the script ran longer than its time limit and was killed';
      return { phase: 'TIMED_OUT', ...end.exit, errorCode: 'TIME_LIMIT', errorDetail };
    }
    case 'rejected':
      return { phase: 'EXITED', exitCode: REJECTED_EXIT_CODE, errorCode: end.code, errorDetail: end.detail };
    case 'interrupted':
      return { phase: 'INTERRUPTED', errorCode: 'SCRIPT_INTERRUPTED', errorDetail: end.detail };
  }
}
