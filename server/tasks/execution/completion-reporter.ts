// Tells tentacles that the end and the whole log of a script are stored, so that the workspace may go. Nothing waits
// for it: what is not told now, because the machine is away or this process died, a sweep tells later; and to a script
// that runs on because its machine was away when it was cancelled, that it is.
import type { CallOptions, ClientUnaryCall, requestCallback } from '@grpc/grpc-js';
import PQueue from 'p-queue';
import { IsthmusError } from '../../../contract/errors.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import type { ScriptStatus__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import { unlessAborted } from '../../../lib/async/waiting.ts';
import type { Fence } from '../../store/base.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { Store } from '../../store/store.ts';
import { buildEnvelope, type SignEnvelope } from './envelopes.ts';
import { isConnectionFailure, tryRoutes } from './call-with-failover.ts';
import type { RoutesOf } from '../routes.ts';
import type { Tentacles } from './tentacles.ts';
import type { Writer } from '../writer.ts';

export interface CompletionReporterTunables {
  /** Between sweeps: what a fault kept from being told is told soon after it has ended. */
  readonly sweepEveryMs: number;
  /** Tentacles of one sweep; the next goes on with those after them, so that those which are away keep nobody waiting. */
  readonly sweepExecutors: number;
}

const defaults: CompletionReporterTunables = { sweepEveryMs: 10_000, sweepExecutors: 500 };

const CONCURRENCY = 64;
/** Older ends are left to the tentacle, which keeps nothing for longer. */
const SWEEP_BACK_MS = 7 * 86_400_000;
const SWEEP_PER_EXECUTOR = 20;
const CALL_DEADLINE_MS = 10_000;

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

/** A ticket to be told of, and the task that it is of. */
interface Told extends Pick<Ticket, 'id' | 'executor' | 'task'> {
  readonly epoch: number;
  /** Whether its script is to be ended where it still runs. */
  readonly cancelled: boolean;
}

export interface CompletionReporter {
  /** Tells the executor soon, unless `knows` gives true: it was told on the log's stream then. */
  add(ticket: Pick<Ticket, 'id' | 'executor'>, fence: Fence, knows: Promise<boolean>): void;
  stop(): Promise<void>;
}

/** Starts the completionReporter; its first sweep takes up what an earlier process left. */
export function createCompletionReporter(options: CompletionReporterOptions): CompletionReporter {
  const { store, routesOf, writer, tentacles, sign, log, sweepEveryMs, sweepExecutors } = { ...defaults, ...options };
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const stopping = new AbortController();
  const waiting = new Set<string>();
  const underWay = new Set<Promise<void>>();
  /** Where the last sweep ended; a round begins again from the front. */
  let afterExecutor = '';

  /** Calls a tentacle by each of its routes once. */
  async function call(executor: string, invoke: Invoke): Promise<void> {
    const routes = () => routesOf(executor);
    const round = await tryRoutes({ tentacles, machine: executor, routes, signals: [stopping.signal] }, (client) =>
      client.unary(invoke, { deadlineMs: CALL_DEADLINE_MS, signal: stopping.signal }),
    );
    if (round.kind === 'failed') throw round.error;
  }

  /** Answers whether the executor is there, whatever it says to this. */
  async function complete(ticket: Told): Promise<boolean> {
    const { id, executor, task, epoch, cancelled } = ticket;
    try {
      await call(executor, (c, o, done) => c.completeScript({ ticket: id, task, epoch }, o, done));
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      const { code } = error;
      const isAnswer = !isConnectionFailure(error);
      if (isAnswer && code === 'SCRIPT_NOT_ENDED' && cancelled) return end(ticket);
      // A tentacle that does not know the ticket has nothing to clear away; one that was revoked is told nothing.
      if (!isAnswer || (code !== 'TICKET_UNKNOWN' && code !== 'MACHINE_REVOKED')) {
        log.debug({ ticket: id, executor, code }, 'completion not told yet');
        return isAnswer;
      }
    }
    await record(id);
    return true;
  }

  /**
   * Has a script ended that nobody wants any more; a later sweep completes it. Answers whether the executor is there.
   */
  async function end(ticket: Told): Promise<boolean> {
    const { executor, task, epoch } = ticket;
    const work = { kind: 'cancel', payload: { reason: 'cancel' } } as const;
    const envelope = buildEnvelope(sign, ticket, { task, epoch }, Date.now(), work);
    return call(executor, (c, o, done) => c.cancelScript({ envelope }, o, done)).then(
      () => true,
      (thrown: unknown) => {
        const error = IsthmusError.from(thrown);
        log.debug({ ticket: ticket.id, executor, code: error.code }, 'cancel not told yet');
        return !isConnectionFailure(error);
      },
    );
  }

  async function record(id: string): Promise<void> {
    await writer.write((tx) => tx.tickets.completed(id, Date.now()));
  }

  /** Tells one tentacle of one ticket, unless it knows. */
  async function completeUnless(knows: Promise<boolean>, ticket: Told): Promise<void> {
    if (await unlessAborted(knows, [stopping.signal]).catch(() => false)) await record(ticket.id);
    else enqueue([ticket]);
  }

  /** Tells one tentacle of its tickets in turn, up to the first of which it does not hear: the next sweep goes on. */
  function enqueue(own: readonly Told[]): void {
    const tickets = own.filter(({ id }) => !waiting.has(id));
    if (stopping.signal.aborted || tickets.length === 0) return;
    for (const { id } of tickets) waiting.add(id);
    void queue
      .add(async () => {
        for (const ticket of tickets) if (!(await complete(ticket))) return;
      })
      .catch((thrown: unknown) => log.warn({ err: thrown, tickets: own.length }, 'completion not recorded'))
      .finally(() => {
        for (const { id } of tickets) waiting.delete(id);
      });
  }

  async function sweep(): Promise<void> {
    const page = { afterExecutor, executors: sweepExecutors, perExecutor: SWEEP_PER_EXECUTOR };
    const left = await store.tickets.uncompleted(Date.now() - SWEEP_BACK_MS, page);
    const byExecutor = Map.groupBy(left, ({ executor }) => executor);
    afterExecutor = byExecutor.size < sweepExecutors ? '' : (left.at(-1)?.executor ?? '');
    for (const own of byExecutor.values()) enqueue(own);
  }

  const sweeping = (): void => {
    sweep().catch((thrown: unknown) => log.warn({ err: thrown }, 'sweep failed'));
  };
  const timer = setInterval(sweeping, sweepEveryMs);
  sweeping();

  return {
    add({ id, executor }, { task, epoch }, knows) {
      const completing = completeUnless(knows, { id, executor, task, epoch, cancelled: false })
        .catch((thrown: unknown) => log.warn({ err: thrown, ticket: id }, 'completion not recorded'))
        .finally(() => underWay.delete(completing));
      underWay.add(completing);
    },
    async stop() {
      clearInterval(timer);
      stopping.abort();
      queue.clear();
      await Promise.all(underWay);
      await queue.onIdle();
    },
  };
}
