// Assembles the tasks of a server node: writer, warm tunnels, routes, completion reporter, engine.
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Store } from '../store/store.ts';
import { followClock } from './clock.ts';
import { createTaskEngine, type EngineTunables } from './engine.ts';
import { createCompletionReporter, type CompletionReporterTunables } from './execution/completion-reporter.ts';
import type { SignEnvelope } from './execution/envelopes.ts';
import { TICKET_DEFAULTS, type TicketDeps, type TicketTunables } from './execution/machine-run.ts';
import type { ClientTunables, Dial, OnSilent } from './execution/service-clients.ts';
import { createTentacles } from './execution/tentacles.ts';
import type { TaskKindRegistry } from './kinds.ts';
import { logQuotaOf } from './logs/log-quota.ts';
import type { RoutesOf } from './routes.ts';
import { createWriter, type Writer } from './writer.ts';

interface TasksOptions {
  readonly store: Store;
  readonly kinds: TaskKindRegistry;
  readonly dial: Dial;
  readonly sign: SignEnvelope;
  readonly routesOf: RoutesOf;
  readonly journalGeneration: TicketDeps['journalGeneration'];
  readonly onSilent?: OnSilent;
  readonly log: Logger;
  readonly nodeId: string;
  /** The most log that one script may store. */
  readonly logQuotaBytes?: number | undefined;
  /** How long a cancel waits for a machine that does not respond. */
  readonly cancelTimeoutS?: number | undefined;
  readonly tunables?: Partial<EngineTunables & TicketTunables & ClientTunables & CompletionReporterTunables>;
}

export interface Tasks {
  /** Routes, warm tunnels and group commit, for components that call machines outside of tasks. */
  readonly shared: Pick<TicketDeps, 'routesOf' | 'tentacles'> & { readonly writer: Writer };
  /** A hint that a task waits to be claimed, or that a cancel was requested. */
  wake(): void;
  /** The tasks this node runs now. */
  readonly running: number;
  /** Stops every task where it is, gives the leases back, closes the tunnels. */
  stop(): Promise<void>;
}

/** Starts to claim and run tasks, those that an earlier process left at once. */
export function startTasks(options: TasksOptions): Tasks {
  const {
    store,
    kinds,
    dial,
    sign,
    routesOf,
    journalGeneration,
    onSilent,
    log,
    nodeId,
    logQuotaBytes,
    cancelTimeoutS,
    tunables = {},
  } = options;
  const stopClock = followClock(store, { nodeId, log });
  const writer = createWriter(store);
  const tentacles = createTentacles(dial, tunables, onSilent);
  const completionReporter = createCompletionReporter({ store, routesOf, writer, tentacles, sign, log, ...tunables });
  const deps: TicketDeps = {
    store,
    routesOf,
    journalGeneration,
    tentacles,
    sign,
    completionReporter,
    tunables: {
      ...TICKET_DEFAULTS,
      ...(logQuotaBytes === undefined ? {} : { logQuota: logQuotaOf(logQuotaBytes) }),
      ...(cancelTimeoutS === undefined ? {} : { cancelLimitMs: cancelTimeoutS * 1000 }),
      ...tunables,
    },
  };
  const engine = createTaskEngine({ store, writer, kinds, deps, log, nodeId, ...tunables });
  let stopped: Promise<void> | undefined;

  async function stop(): Promise<void> {
    await Promise.all([engine.stop(), completionReporter.stop()]);
    tentacles.close();
    await writer.idle();
    stopClock();
  }

  return {
    shared: { routesOf, tentacles, writer },
    wake: () => engine.wake(),
    get running() {
      return engine.running;
    },
    stop: () => (stopped ??= stop()),
  };
}
