// Starts the periodic health checks. Map of this folder:
//   monitor.ts           when each machine is checked      follow.ts   checks after a join or an outage
//   reported-health.ts   by what it reports                health-check.ts, health-task.ts   by a call
//   judgement.ts         facts against thresholds          facts.ts    bounds what machines send
import type { HealthChecks } from '../../contract/machines.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { EventSubscriptions } from '../events/subscriptions.ts';
import type { Store } from '../store/store.ts';
import type { Tasks } from '../tasks/start.ts';
import type { LiveTopology } from '../topology/live.ts';
import { HealthFollower } from './follow.ts';
import { HealthMonitor } from './monitor.ts';
import type { ReportedHealth } from './reported-health.ts';

interface HealthOptions extends Pick<Tasks, 'shared'> {
  readonly store: Pick<Store, 'machines'>;
  readonly topology: LiveTopology;
  /** Not started yet. */
  readonly events: Pick<EventSubscriptions, 'subscribe'>;
  readonly reported: ReportedHealth;
  readonly log: Logger;
  /** Between two checks of a machine; 0 for never. */
  readonly intervalS: number;
}

export interface PeriodicHealth {
  /** How often machines are checked, and when last. */
  status(): HealthChecks;
  stop(): Promise<void>;
}

/** A machine that was last checked so many intervals ago is not known any more. */
const OUTDATED_INTERVALS = 3;

/** Starts to check every machine once an interval, soon after its join, and when an outage has ended. */
export function startHealth(options: HealthOptions): PeriodicHealth {
  const { store, topology, events, reported, shared, log, intervalS } = options;
  if (intervalS === 0) {
    return { status: () => ({ intervalS, lastRoundAt: null, outdatedBefore: null }), stop: () => Promise.resolve() };
  }
  const intervalMs = intervalS * 1000;
  const monitor = new HealthMonitor({ store, topology, ...shared, reported, log, intervalMs });
  const follower = new HealthFollower({ topology, monitor });
  events.subscribe('health-checks', follower.subscription);
  monitor.start();
  const unfollow = follower.start();
  return {
    status: () => ({
      intervalS,
      lastRoundAt: monitor.lastRoundAt,
      outdatedBefore: Date.now() - OUTDATED_INTERVALS * intervalMs,
    }),
    stop() {
      unfollow();
      return monitor.stop();
    },
  };
}
