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
import type { Writer } from './writer.ts';

export interface CompleterTunables {
  /** Between sweeps; a minute keeps the workspaces of a machine that was away from piling up. */
  readonly sweepEveryMs: number;
  /** Older ends are left to the tentacle, which keeps nothing for longer. */
  readonly sweepBackMs: number;
}

const defaults: CompleterTunables = { sweepEveryMs: 60_000, sweepBackMs: 7 * 86_400_000 };

const CONCURRENCY = 64;
const SWEEP_BATCH = 500;
const CALL_DEADLINE_MS = 10_000;

interface CompleterOptions extends Partial<CompleterTunables> {
  readonly store: Pick<Store, 'tickets'>;
  readonly routesOf: RoutesOf;
  readonly writer: Writer;
  readonly tentacles: Tentacles;
  readonly log: Logger;
}

export interface Completer {
  /** Tells the machine soon. */
  add(ticket: Pick<Ticket, 'id' | 'machine'>, fence: Fence): void;
  stop(): Promise<void>;
}

/** Starts the completer; its first sweep takes up what an earlier process left. */
export function createCompleter(options: CompleterOptions): Completer {
  const { store, routesOf, writer, tentacles, log, sweepEveryMs, sweepBackMs } = { ...defaults, ...options };
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const stopping = new AbortController();
  const waiting = new Set<string>();

  async function complete({ id, machine }: Pick<Ticket, 'id' | 'machine'>, { task, epoch }: Fence): Promise<void> {
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
        return;
      }
    }
    await writer.write((tx) => tx.tickets.completed(id, Date.now()));
  }

  function add(ticket: Pick<Ticket, 'id' | 'machine'>, fence: Fence): void {
    if (stopping.signal.aborted || waiting.has(ticket.id)) return;
    waiting.add(ticket.id);
    void queue
      .add(() => complete(ticket, fence))
      .catch((thrown: unknown) => log.warn({ err: thrown, ticket: ticket.id }, 'completion not recorded'))
      .finally(() => waiting.delete(ticket.id));
  }

  async function sweep(): Promise<void> {
    // One call per machine and sweep tells whether it is there at all; the rest of its tickets follow if so.
    for (const { epoch, ...ticket } of await store.tickets.uncompleted(Date.now() - sweepBackMs, SWEEP_BATCH)) {
      add(ticket, { task: ticket.task, epoch });
    }
  }

  const sweeping = (): void => {
    sweep().catch((thrown: unknown) => log.warn({ err: thrown }, 'sweep failed'));
  };
  const timer = setInterval(sweeping, sweepEveryMs);
  sweeping();

  return {
    add,
    async stop() {
      clearInterval(timer);
      stopping.abort();
      queue.clear();
      await queue.onIdle();
    },
  };
}
