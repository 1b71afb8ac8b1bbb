// Reports to tentacles that a script's end and whole log are stored, so that they may delete its workspace. Nothing
// waits for this: when a machine is unreachable or this process dies, a later sweep reports. The sweep also cancels
// scripts that still run because their machine was unreachable when their task was cancelled, and orders for packages
// that had no success: whoever has recorded one can do nothing with it any more.
import type { CallOptions, ClientUnaryCall, requestCallback } from '@grpc/grpc-js';
import PQueue from 'p-queue';
import { attempted, background, every } from '../../../lib/async/background.ts';
import { IsthmusError } from '../../../contract/errors.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import type { ScriptStatus__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import { unlessAborted } from '../../../lib/async/waiting.ts';
import { DAY_MS } from '../../../lib/time.ts';
import type { Fence } from '../../store/base.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { Store } from '../../store/store.ts';
import { buildEnvelope, type SignEnvelope } from './envelopes.ts';
import { isConnectionFailure, tryRoutes } from './call-with-failover.ts';
import type { RoutesOf } from '../routes.ts';
import type { Tentacles } from './tentacles.ts';
import type { Writer } from '../writer.ts';

export interface CompletionReporterTunables {
  /** Between sweeps: what a fault kept from being reported is reported soon after the fault has passed. */
  readonly sweepEveryMs: number;
  /** Tentacles per sweep; the next one continues after them, so that unreachable ones hold up nobody. */
  readonly sweepExecutors: number;
}

const DEFAULTS: CompletionReporterTunables = { sweepEveryMs: 10_000, sweepExecutors: 500 };

const CONCURRENCY = 64;
/** The tentacle itself deletes what is older. */
const SWEEP_BACK_MS = 7 * DAY_MS;
const SWEEP_PER_EXECUTOR = 20;
const CALL_DEADLINE_MS = 10_000;
/** Their tickets have no workspace. */
const PACKAGE_ACTIONS: ReadonlySet<string> = new Set(['acquire', 'stage', 'activate', 'settle']);

interface CompletionReporterOptions extends Partial<CompletionReporterTunables> {
  readonly store: Pick<Store, 'tickets'>;
  readonly routesOf: RoutesOf;
  readonly writer: Writer;
  readonly tentacles: Tentacles;
  readonly sign: SignEnvelope;
  readonly log: Logger;
}

type Invoke = (
  client: TentacleClient,
  options: CallOptions,
  done: requestCallback<ScriptStatus__Output>,
) => ClientUnaryCall;

/** A ticket to report, with its task. */
interface UnreportedTicket extends Pick<Ticket, 'id' | 'executor' | 'task' | 'action'> {
  readonly epoch: number;
  /** Whether its script is cancelled if it still runs. */
  readonly cancelled: boolean;
}

export interface CompletionReporter {
  /** Reports to the executor soon, unless `isReported` gives true: then the log's stream did. */
  add(ticket: Pick<Ticket, 'id' | 'executor' | 'action'>, fence: Fence, isReported: Promise<boolean>): void;
  stop(): Promise<void>;
}

/** Starts the completion reporter; its first sweep reports what an earlier process left. */
export function createCompletionReporter(options: CompletionReporterOptions): CompletionReporter {
  const { store, routesOf, writer, tentacles, sign, log, sweepEveryMs, sweepExecutors } = { ...DEFAULTS, ...options };
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const stopping = new AbortController();
  const waiting = new Set<string>();
  const inFlight = new Set<Promise<void>>();
  /** Where the last sweep ended; '' starts again from the front. */
  let afterExecutor = '';

  /** Calls a tentacle, over each of its routes once. */
  async function call(executor: string, invoke: Invoke): Promise<void> {
    const routes = () => routesOf(executor);
    const round = await tryRoutes(
      { clients: tentacles, node: executor, routes, signals: [stopping.signal] },
      (client) => client.unary(invoke, { deadlineMs: CALL_DEADLINE_MS, signal: stopping.signal }),
    );
    if (round.kind === 'failed') throw round.error;
  }

  /** Returns whether the executor responded, whatever it answered. */
  async function complete(ticket: UnreportedTicket): Promise<boolean> {
    const { id, executor, task, epoch, cancelled } = ticket;
    try {
      if (PACKAGE_ACTIONS.has(ticket.action)) await cancel(ticket);
      else await call(executor, (c, o, done) => c.completeScript({ ticket: id, task, epoch }, o, done));
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      const { code } = error;
      const isAnswer = !isConnectionFailure(error);
      if (isAnswer && code === 'SCRIPT_NOT_ENDED' && cancelled) return end(ticket);
      // A tentacle that does not know the ticket has nothing to delete; a revoked one gets no calls.
      if (!isAnswer || (code !== 'TICKET_UNKNOWN' && code !== 'MACHINE_REVOKED')) {
        log.debug({ ticket: id, executor, code }, 'completion not reported yet');
        return isAnswer;
      }
    }
    await record(id);
    return true;
  }

  /** Uses the ticket up, or cancels its script. */
  async function cancel(ticket: UnreportedTicket): Promise<void> {
    const { executor, task, epoch } = ticket;
    const work = { kind: 'cancel', payload: { reason: 'cancel' } } as const;
    const envelope = buildEnvelope(sign, ticket, { task, epoch }, Date.now(), work);
    await call(executor, (c, o, done) => c.cancelScript({ envelope }, o, done));
  }

  /** Cancels a script that still runs; a later sweep completes it. Returns whether the executor responded. */
  async function end(ticket: UnreportedTicket): Promise<boolean> {
    const { executor } = ticket;
    return cancel(ticket).then(
      () => true,
      (thrown: unknown) => {
        const error = IsthmusError.from(thrown);
        log.debug({ ticket: ticket.id, executor, code: error.code }, 'cancel not sent yet');
        return !isConnectionFailure(error);
      },
    );
  }

  async function record(id: string): Promise<void> {
    await writer.write((tx) => tx.tickets.completed(id, Date.now()));
  }

  /** Reports one ticket, unless that has happened already. */
  async function completeUnless(isReported: Promise<boolean>, ticket: UnreportedTicket): Promise<void> {
    if (await unlessAborted(isReported, [stopping.signal]).catch(() => false)) await record(ticket.id);
    else enqueue([ticket]);
  }

  /** Reports the tickets of one tentacle in turn, until it does not respond; the next sweep continues there. */
  function enqueue(own: readonly UnreportedTicket[]): void {
    const tickets = own.filter(({ id }) => !waiting.has(id));
    if (stopping.signal.aborted || tickets.length === 0) return;
    for (const { id } of tickets) waiting.add(id);
    const completeAll = async (): Promise<void> => {
      for (const ticket of tickets) if (!(await complete(ticket))) return;
    };
    const settled = (): void => {
      for (const { id } of tickets) waiting.delete(id);
    };
    attempted('completion.report', log, () => queue.add(completeAll)).then(settled, settled);
  }

  async function sweep(): Promise<void> {
    const page = { afterExecutor, executors: sweepExecutors, perExecutor: SWEEP_PER_EXECUTOR };
    const left = await store.tickets.uncompleted(Date.now() - SWEEP_BACK_MS, page);
    const byExecutor = Map.groupBy(left, ({ executor }) => executor);
    afterExecutor = byExecutor.size < sweepExecutors ? '' : (left.at(-1)?.executor ?? '');
    for (const own of byExecutor.values()) enqueue(own);
  }

  const stopSweeps = every(sweepEveryMs, 'completion.sweep', log, sweep);
  background('completion.sweep', log, sweep);

  return {
    add({ id, executor, action }, { task, epoch }, isReported) {
      const completing = completeUnless(isReported, { id, executor, action, task, epoch, cancelled: false })
        .catch((thrown: unknown) => log.warn({ err: thrown, ticket: id }, 'completion not recorded'))
        .finally(() => inFlight.delete(completing));
      inFlight.add(completing);
    },
    async stop() {
      stopSweeps();
      stopping.abort();
      queue.clear();
      await Promise.all(inFlight);
      await queue.onIdle();
    },
  };
}
