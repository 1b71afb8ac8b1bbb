// The task kind of upgrades, and the order of its nodes: one by one until the first runs the new version, then some at
// once, relays last and alone. The first failure stops the others. All is decided from the tickets' rows, so that after
// a crash of the server an upgrade continues where it stopped.
//   request.ts   accepts an upgrade         node-upgrade.ts   upgrades one node
//   clients.ts   calls nodes                messages.ts       what a task tells of it
//   skew.ts      which nodes are behind the server
import PQueue from 'p-queue';
import type { ErrorCode } from '../../contract/errors.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { TaskContext } from '../tasks/context.ts';
import { endTicket, type TicketDeps } from '../tasks/execution/machine-run.ts';
import { ticketsOf } from '../tasks/execution/per-machine.ts';
import { cutShortEnd, failure, type TicketEnding } from '../tasks/execution/ticket-end.ts';
import type { TaskKind } from '../tasks/kinds.ts';
import { hasEnded, taskOutcome, type TaskOutcome } from '../tasks/outcome.ts';
import { nameSome } from '../tasks/targets.ts';
import { upgradeNode, type UpgradeDeps } from './node-upgrade.ts';
import { upgradeTraits, type UpgradePayload } from './request.ts';

/** Errors that tell of the node only, not of the version: the other nodes go on. */
const OF_THE_NODE: ReadonlySet<string> = new Set<ErrorCode>([
  'SOFTWARE_ARCHITECTURE',
  'UPGRADE_DOWNGRADE',
  'UPGRADE_UNSUPPORTED',
]);

/** The kind. To repeat an upgrade changes nothing on the nodes that have the version, so there is no retry. */
export function upgradeTask(deps: UpgradeDeps): TaskKind<UpgradePayload> {
  return { ...upgradeTraits, run: (context, ticketDeps) => runUpgrade(deps, context, ticketDeps) };
}

async function runUpgrade(deps: UpgradeDeps, context: TaskContext, ticketDeps: TicketDeps): Promise<TaskOutcome> {
  const { machines, relays, canary, atOnce } = context.task.payload as UpgradePayload;
  const tickets = await ticketsOf(ticketDeps, context, upgradeTraits.kind, machines);
  const waiting = machines.flatMap((node) => tickets.find(({ target }) => target === node) ?? []);
  const stops = ({ state, target, errorCode }: Ticket) =>
    (target === canary && state !== 'succeeded') || (state === 'failed' && !OF_THE_NODE.has(errorCode ?? ''));
  let stopper = waiting.find((ticket) => hasEnded(ticket) && stops(ticket));
  const ended: Ticket[] = [];

  async function run(ticket: Ticket): Promise<Ticket> {
    const end = await endOf(ticket);
    if (stops(end)) stopper ??= end;
    ended.push(end);
    return end;
  }
  async function endOf(ticket: Ticket): Promise<Ticket> {
    if (hasEnded(ticket)) return ticket;
    if (ticket.state === 'pending') {
      // Reads whether a cancel was requested, too: none begins after it.
      await context.renew();
      if (context.finish.aborted) return endTicket(context, ticket.id, cutShortEnd(context));
      if (stopper !== undefined) return endTicket(context, ticket.id, notTried(stopper));
    }
    return upgradeNode(deps, context, ticketDeps, ticket);
  }

  for (let isProven = false; !isProven && waiting.length > 0;) {
    isProven = (await run(waiting.shift()!)).state === 'succeeded';
  }
  const { others = [], last = [] } = Object.groupBy(waiting, ({ target }) =>
    relays.includes(target) ? 'last' : 'others',
  );
  await new PQueue({ concurrency: atOnce }).addAll(others.map((ticket) => () => run(ticket)));
  for (const ticket of last) await run(ticket);

  const outcome = taskOutcome({
    tickets: ended,
    finishReason: context.finishReason,
    unfinished: ended.length < machines.length,
  });
  return withUntried(outcome, ended);
}

function notTried({ target, errorCode, state }: Ticket): TicketEnding {
  const why = `not tried: ${target} ${state.replace('_', ' ')} (${errorCode})`;
  return { state: 'skipped', ...failure('UPGRADE_STOPPED', why, target) };
}

/** The outcome with the nodes that were not tried because another one failed. */
function withUntried(outcome: TaskOutcome, ended: readonly Ticket[]): TaskOutcome {
  const untried = ended.filter(({ errorCode }) => errorCode === 'UPGRADE_STOPPED').map(({ target }) => target);
  if (untried.length === 0) return outcome;
  return { ...outcome, errorDetail: `${outcome.errorDetail ?? 'stopped'}; not tried: ${nameSome(untried)}` };
}
