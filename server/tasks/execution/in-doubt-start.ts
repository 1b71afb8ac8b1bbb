// A start was sent, the task is over, and the machine knows of no script: the start may still be on its way. Only once
// the machine has used the ticket up, so that no late start counts any more, may the ticket be called cancelled.
import type { ScriptStatus__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import {
  envelopeOf,
  failure,
  reachExecutor,
  denialEnd,
  unsentEnd,
  type MachineRun,
  type TicketEnding,
} from './machine-run.ts';

/** The end of a ticket whose start was lost; undefined when the machine has started it after all. */
export async function endInDoubtStart(run: MachineRun, ticket: Ticket): Promise<TicketEnding | undefined> {
  const { context, deps, executor } = run;
  try {
    const limit = AbortSignal.timeout(deps.tunables.cancelLimitMs);
    const reached = await reachExecutor(run, { signals: [limit] }, (client) => {
      const payload = { reason: context.finishReason ?? 'cancel' };
      const envelope = envelopeOf(run, ticket, { kind: 'cancel', payload });
      return client.unary<ScriptStatus__Output>((c, o, done) => c.cancelScript({ envelope }, o, done), {
        deadlineMs: deps.tunables.callDeadlineMs,
        signal: context.halt,
      });
    });
    if (reached.kind === 'answered') return neverStarted(reached.value) ? unsentEnd(run, undefined) : undefined;
    const detail = 'its start may still arrive: the cancel was not answered in time';
    return { state: 'interrupted', ...failure('SCRIPT_INTERRUPTED', detail, reached.lastError?.hop ?? executor) };
  } catch (thrown) {
    return { ...denialEnd(context, thrown), state: 'interrupted' };
  }
}

function neverStarted({ phase, startedAtMs, errorCode }: ScriptStatus__Output): boolean {
  return (phase === 'CANCELLED' || phase === 'COMPLETED') && errorCode === 'CANCELLED' && startedAtMs === 0;
}
