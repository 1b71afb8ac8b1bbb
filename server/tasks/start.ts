// Puts the tasks of a server node together: writer, warm tunnels, completer, health monitor, engine.
import type { Logger } from '../../lib/log.ts';
import type { Store } from '../store/store.ts';
import { createCompleter, type CompleterTunables } from './completer.ts';
import { createTaskEngine, type EngineTunables, type TaskRunner } from './engine.ts';
import type { SignEnvelope } from './envelopes.ts';
import { startHealthMonitor } from './health-monitor.ts';
import { healthRunner } from './health-task.ts';
import { ticketDefaults, type TicketDeps, type TicketTunables } from './machine-run.ts';
import { logQuotaOf } from './log-quota.ts';
import { createRouteBook, type AutoPaths } from './route-book.ts';
import { scriptRunner } from './script-task.ts';
import { createTentacles, type Dial, type TentacleTunables } from './tentacles.ts';
import { createWriter } from './writer.ts';

interface TasksOptions {
  readonly store: Store;
  readonly dial: Dial;
  readonly sign: SignEnvelope;
  readonly autoPaths: AutoPaths;
  /** Deployments stand on tasks, so their runner comes from outside. */
  readonly deploymentRunner: (deps: TicketDeps) => TaskRunner;
  readonly log: Logger;
  readonly nodeId: string;
  /** Between two checks of one machine; without it there are none but those asked for. */
  readonly healthCheckIntervalS?: number | undefined;
  /** What one script may leave of log. */
  readonly logQuotaBytes?: number | undefined;
  /** How long a cancel waits for a machine that does not answer. */
  readonly cancelTimeoutS?: number | undefined;
  readonly tunables?: Partial<EngineTunables & TicketTunables & TentacleTunables & CompleterTunables>;
}

export interface Tasks {
  /** A hint that there is something to claim, or that a cancel was asked for. */
  wake(): void;
  /** The tasks this node runs now. */
  readonly running: number;
  /** Leaves every task where it is, gives the leases back, closes the tunnels. */
  stop(): Promise<void>;
}

/** Starts claiming and running tasks; what an earlier process left is taken up at once. */
export function startTasks(options: TasksOptions): Tasks {
  const {
    store,
    dial,
    sign,
    log,
    nodeId,
    healthCheckIntervalS,
    logQuotaBytes,
    cancelTimeoutS,
    tunables = {},
  } = options;
  const writer = createWriter(store);
  const tentacles = createTentacles(dial, tunables);
  const routesOf = createRouteBook(store, options.autoPaths);
  const completer = createCompleter({ store, routesOf, writer, tentacles, sign, log, ...tunables });
  const deps: TicketDeps = {
    store,
    routesOf,
    tentacles,
    sign,
    completer,
    tunables: {
      ...ticketDefaults,
      ...(logQuotaBytes === undefined ? {} : { logQuota: logQuotaOf(logQuotaBytes) }),
      ...(cancelTimeoutS === undefined ? {} : { cancelLimitMs: cancelTimeoutS * 1000 }),
      ...tunables,
    },
  };
  const runners = {
    script: scriptRunner(deps),
    health: healthRunner(deps),
    deployment: options.deploymentRunner(deps),
  };
  const engine = createTaskEngine({ store, writer, runners, log, nodeId, ...tunables });
  const intervalMs = (healthCheckIntervalS ?? 0) * 1000;
  const monitor =
    intervalMs > 0 ? startHealthMonitor({ store, writer, tentacles, routesOf, log, intervalMs }) : undefined;
  let stopped: Promise<void> | undefined;

  async function stop(): Promise<void> {
    await Promise.all([engine.stop(), monitor?.stop(), completer.stop()]);
    tentacles.close();
    await writer.idle();
  }

  return {
    wake: () => engine.wake(),
    get running() {
      return engine.running;
    },
    stop: () => (stopped ??= stop()),
  };
}
