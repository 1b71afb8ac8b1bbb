// The task kind `warm`: every mirror fetches its packages, one after the other. A mirror that was fetching when the
// server ended goes on where it stopped.
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { pause } from '../../lib/async/waiting.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import { Halted, type TaskContext } from '../tasks/context.ts';
import { isConnectionFailure } from '../tasks/execution/call-with-failover.ts';
import { endTicket, patchTicket } from '../tasks/execution/machine-run.ts';
import { runPerMachine } from '../tasks/execution/per-machine.ts';
import { cutShortEnd, errorPatch, type TicketEnding } from '../tasks/execution/ticket-end.ts';
import type { TaskKind } from '../tasks/kinds.ts';
import { hasEnded } from '../tasks/outcome.ts';
import type { Mirrors } from './mirrors.ts';
import { warmTraits, type WarmPayload } from './warming.ts';
import { untilWindow } from './window.ts';

export interface WarmDeps {
  readonly mirrors: Pick<Mirrors, 'warm'>;
}

/** The detail of a mirror's ticket. */
interface WarmDetail {
  readonly packages: number;
  /** Of the packages that were not there before. */
  readonly fetchedBytes: number;
}

/** Lines to mirrors have little in common, but for the first one. */
const MIRRORS_AT_ONCE = 32;
/** Between two tries. */
const RETRY_MS = 5_000;
/** How long a mirror may be away, or without a source, before its warming ends. */
const REACHABILITY_TIMEOUT_MS = 10 * 60_000;
/** Readers want to see progress, not every chunk. */
const PROGRESS_EVERY_MS = 2_000;
const ALWAYS = { opensInMs: 0, closesInMs: undefined };
const WAITS = 'waits for its window, which opens';
/** Until the clock is looked at again. */
const LONGEST_WAIT_MS = 60_000;
/** A mirror's own failures that may pass by themselves. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PACKAGE_UNAVAILABLE',
  'SOURCE_FAILED',
  'RESOURCE_EXHAUSTED',
]);

/** The kind. To warm again changes nothing where the packages are, so there is no retry. */
export function warmTask({ mirrors }: WarmDeps): TaskKind<WarmPayload> {
  return {
    ...warmTraits,
    run: (context, ticketDeps) => {
      const { machines } = context.task.payload as WarmPayload;
      const plan = { action: warmTraits.kind, machines, concurrency: MIRRORS_AT_ONCE };
      return runPerMachine(ticketDeps, context, plan, (ticket) => warmMirror(mirrors, context, ticket));
    },
  };
}

async function warmMirror(mirrors: WarmDeps['mirrors'], context: TaskContext, ticket: Ticket): Promise<Ticket> {
  if (hasEnded(ticket)) return ticket;
  const { packages } = context.task.payload as WarmPayload;
  const wanted = packages.filter((each) => each.mirrors.includes(ticket.target));
  const now = Date.now();
  // Nothing is to be completed at a mirror.
  if (ticket.state === 'pending')
    await patchTicket(context, ticket.id, { state: 'sent', startedAt: now, completedAt: now });
  let fetchedBytes = 0;
  const ending = async (): Promise<TicketEnding> => {
    try {
      for (const each of wanted) if (await warmPackage(mirrors, context, ticket, each)) fetchedBytes += each.sizeBytes;
      return { state: 'succeeded' };
    } catch (thrown) {
      if (context.halt.aborted) throw new Halted();
      const error = IsthmusError.from(thrown);
      if (context.finish.aborted) return cutShortEnd(context, error);
      return { state: error.code === 'MIRROR_UNSUPPORTED' ? 'skipped' : 'failed', ...errorPatch(error) };
    }
  };
  const end = await ending();
  return endTicket(context, ticket.id, {
    ...end,
    detail: { packages: wanted.length, fetchedBytes } satisfies WarmDetail,
  });
}

/** Whether anything had to be fetched. */
async function warmPackage(
  mirrors: WarmDeps['mirrors'],
  context: TaskContext,
  { id: ticket, target: machine }: Ticket,
  { id, version, sha256, sizeBytes }: WarmPayload['packages'][number],
): Promise<boolean> {
  const { maxBytesPerS, window } = context.task.payload as WarmPayload;
  const ends = [context.halt, context.finish];
  let [toldMs, aliveMs, told] = [-Infinity, performance.now(), ''];
  for (;;) {
    const { opensInMs, closesInMs } = window === undefined ? ALWAYS : untilWindow(window, Date.now());
    if (opensInMs > 0) {
      if (told !== WAITS) await context.message(`${machine}: ${WAITS} at ${window!.from} UTC`, { machine, ticket });
      told = WAITS;
      // The clock may be set meanwhile.
      await pause(Math.min(opensInMs, LONGEST_WAIT_MS), ...ends);
      for (const end of ends) end.throwIfAborted();
      aliveMs = performance.now();
      continue;
    }
    const closed = closesInMs === undefined ? [] : [AbortSignal.timeout(closesInMs)];
    const signals = [...ends, ...closed];
    try {
      await context.assertOwned();
      const { cached } = await mirrors.warm(machine, {
        ...{ sha256, sizeBytes, ticket, signals, fence: context.fence, maxBytesPerS: maxBytesPerS ?? undefined },
        onProgress: async ({ receivedBytes, totalBytes }) => {
          aliveMs = performance.now();
          if (aliveMs < toldMs + PROGRESS_EVERY_MS) return;
          [toldMs, told] = [aliveMs, ''];
          const percent = totalBytes === 0 ? 0 : Math.floor((100 * receivedBytes) / totalBytes);
          const data = { receivedBytes, totalBytes };
          await context.message(`${machine}: ${percent} % of ${id} ${version}`, { machine, ticket, data });
        },
      });
      await context.message(`${machine}: ${cached ? 'has' : 'got'} ${id} ${version}`, { machine, ticket });
      return !cached;
    } catch (thrown) {
      if (closed.some(({ aborted }) => aborted) && !ends.some(({ aborted }) => aborted)) continue;
      const error = IsthmusError.from(thrown);
      const isPassing = isConnectionFailure(error) || PASSING.has(error.code);
      if (signals.some(({ aborted }) => aborted) || !isPassing || performance.now() > aliveMs + REACHABILITY_TIMEOUT_MS)
        throw thrown;
      if (error.message !== told) {
        told = error.message;
        await context.message(`${machine}: ${told}; trying again`, { machine, level: 'warning', code: error.code });
      }
      await pause(RETRY_MS, ...signals);
    }
  }
}
