// Ends a ticket whose start is in doubt: the start was sent, the task is over, and the machine knows no such script.
// The start may still arrive, so the ticket is cancelled only once the machine has consumed it: then a late start is
// rejected.
import type { ScriptStatus__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import { envelopeOf, mayHaveRunElsewhere, reachExecutor, replaced, type MachineRun } from './machine-run.ts';
import { cutShortEnd, denialEnd, failure, type TicketEnding } from './ticket-end.ts';

/** The end of the ticket; undefined when the machine has started its script after all. */
export async function endInDoubtStart(run: MachineRun, ticket: Ticket): Promise<TicketEnding | undefined> {
  const { context, deps, executor } = run;
  try {
    if (mayHaveRunElsewhere(run, ticket)) throw replaced(run, ticket);
    const limit = AbortSignal.timeout(deps.tunables.cancelLimitMs);
    const reached = await reachExecutor(run, { signals: [limit] }, (client) => {
      const payload = { reason: context.finishReason ?? 'cancel' };
      const envelope = envelopeOf(run, ticket, { kind: 'cancel', payload });
      return client.unary<ScriptStatus__Output>((c, o, done) => c.cancelScript({ envelope }, o, done), {
        deadlineMs: deps.tunables.callDeadlineMs,
        signal: context.halt,
      });
    });
    if (reached.kind === 'answered') return neverStarted(reached.value) ? cutShortEnd(context) : undefined;
    const detail = 'its start may still arrive: the cancel was not answered in time';
    return { state: 'interrupted', ...failure('SCRIPT_INTERRUPTED', detail, reached.lastError?.hop ?? executor) };
  } catch (thrown) {
    return { ...denialEnd(context, thrown), state: 'interrupted' };
  }
}

function neverStarted({ phase, startedAtMs, errorCode }: ScriptStatus__Output): boolean {
  return (phase === 'CANCELLED' || phase === 'COMPLETED') && errorCode === 'CANCELLED' && startedAtMs === 0;
}
