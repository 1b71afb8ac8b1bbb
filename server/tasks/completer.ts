// Tells tentacles that the end and the whole log of a script are stored, so that the workspace may go. Nothing waits
// for it: what is not told now, because the machine is away or this process died, a sweep tells later.
import PQueue from 'p-queue';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Fence } from '../store/repositories/base.ts';
import type { Ticket } from '../store/repositories/tickets.ts';
import type { Store } from '../store/store.ts';
import { tryRoutes } from './reach.ts';
import type { RoutesOf } from './route-book.ts';
import type { Tentacles } from './tentacles.ts';
import { unlessAborted } from './waiting.ts';
import type { Writer } from './writer.ts';

export interface CompleterTunables {
  /** Between sweeps: what a fault kept from being told is told soon after it has ended. */
  readonly sweepEveryMs: number;
  /** Older ends are left to the tentacle, which keeps nothing for longer. */
  readonly sweepBackMs: number;
}

const defaults: CompleterTunables = { sweepEveryMs: 10_000, sweepBackMs: 7 * 86_400_000 };

const CONCURRENCY = 64;
const SWEEP_BATCH = 500;
/** So that a machine that is away for days does not keep the others waiting. */
const SWEEP_PER_MACHINE = 20;
const CALL_DEADLINE_MS = 10_000;

interface CompleterOptions extends Partial<CompleterTunables> {
  readonly store: Pick<Store, 'tickets'>;
  readonly routesOf: RoutesOf;
  readonly writer: Writer;
  readonly tentacles: Tentacles;
  readonly log: Logger;
}

/** A ticket to be told of, and the task that it is of. */
interface Told extends Pick<Ticket, 'id' | 'machine' | 'task'> {
  readonly epoch: number;
}

export interface Completer {
  /** Tells the machine soon, unless `knows` gives true: it was told on the log's stream then. */
  add(ticket: Pick<Ticket, 'id' | 'machine'>, fence: Fence, knows: Promise<boolean>): void;
  stop(): Promise<void>;
}

/** Starts the completer; its first sweep takes up what an earlier process left. */
export function createCompleter(options: CompleterOptions): Completer {
  const { store, routesOf, writer, tentacles, log, sweepEveryMs, sweepBackMs } = { ...defaults, ...options };
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const stopping = new AbortController();
  const waiting = new Set<string>();
  const underWay = new Set<Promise<void>>();

  /** Answers whether the machine is there. */
  async function complete({ id, machine, task, epoch }: Told): Promise<boolean> {
    try {
      const routes = () => routesOf(machine);
      const round = await tryRoutes({ tentacles, machine, routes, signals: [stopping.signal] }, (client) =>
        client.unary((c, o, done) => c.completeScript({ ticket: id, task, epoch }, o, done), {
          deadlineMs: CALL_DEADLINE_MS,
          signal: stopping.signal,
        }),
      );
      if (round.kind === 'failed') throw round.error;
    } catch (thrown) {
      const { code } = IsthmusError.from(thrown);
      // A tentacle that does not know the ticket has nothing to clear away; one that was revoked is told nothing.
      if (code !== 'TICKET_UNKNOWN' && code !== 'MACHINE_REVOKED') {
        log.debug({ ticket: id, machine, code }, 'completion not told yet');
        return false;
      }
    }
    await record(id);
    return true;
  }

  async function record(id: string): Promise<void> {
    await writer.write((tx) => tx.tickets.completed(id, Date.now()));
  }

  /** Tells one machine of one ticket, unless it knows. */
  async function completeUnless(knows: Promise<boolean>, ticket: Told): Promise<void> {
    if (await unlessAborted(knows, [stopping.signal]).catch(() => false)) await record(ticket.id);
    else enqueue([ticket]);
  }

  /** Tells one machine of its tickets in turn, up to the first of which it does not hear: the next sweep goes on. */
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
    const limits = { perMachine: SWEEP_PER_MACHINE, inAll: SWEEP_BATCH };
    const left = await store.tickets.uncompleted(Date.now() - sweepBackMs, limits);
    for (const own of Map.groupBy(left, ({ machine }) => machine).values()) enqueue(own);
  }

  const sweeping = (): void => {
    sweep().catch((thrown: unknown) => log.warn({ err: thrown }, 'sweep failed'));
  };
  const timer = setInterval(sweeping, sweepEveryMs);
  sweeping();

  return {
    add({ id, machine }, { task, epoch }, knows) {
      const completing = completeUnless(knows, { id, machine, task, epoch })
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
