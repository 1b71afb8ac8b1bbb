// Checks every machine's health once per interval, spread over it, with a concurrency limit of its own. A machine whose
// last check was not answered, or that has had none, is checked soon after it is linked: after its join or an outage.
import PQueue from 'p-queue';
import { attempted, background, every } from '../../lib/async/background.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { acceptsWork } from '../store/inventory/machines.ts';
import type { Machine } from '../store/inventory/machines.ts';
import type { Store } from '../store/store.ts';
import { checkHealth, storeHealth } from './health-check.ts';
import type { RoutesOf } from '../tasks/routes.ts';
import type { Tentacles } from '../tasks/execution/tentacles.ts';
import type { Writer } from '../tasks/writer.ts';
import type { LiveTopology } from '../topology/live.ts';

interface MonitorOptions {
  readonly store: Pick<Store, 'machines'>;
  readonly writer: Writer;
  readonly tentacles: Tentacles;
  readonly routesOf: RoutesOf;
  readonly topology: Pick<LiveTopology, 'nodes' | 'liveness' | 'onChange'>;
  readonly log: Logger;
  /** Between two checks of one machine. */
  readonly intervalMs: number;
}

const CONCURRENCY = 16;
/** Behind one relay many return at once. */
const FOLLOW_JITTER_MS = 2_000;
/** How often in an interval a machine is checked anew that is linked and does not answer. */
const FOLLOWED_PER_INTERVAL = 10;

export interface HealthMonitor {
  stop(): Promise<void>;
}

/** Starts the checks: each machine's first one at a random time within the first interval. */
export function startHealthMonitor({
  store,
  writer,
  tentacles,
  routesOf,
  topology,
  log,
  intervalMs,
}: MonitorOptions): HealthMonitor {
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const stopping = new AbortController();
  const timers = new Map<string, NodeJS.Timeout>();
  const queued = new Set<string>();
  /** Machines whose last check was answered; none are known before the first round. */
  let answered: Set<string> | undefined;
  const followedMs = new Map<string, number>();

  async function check(id: string): Promise<void> {
    const machine = await store.machines.find(id);
    if (machine === undefined || !acceptsWork(machine)) return;
    const health = await checkHealth({ tentacles, routesOf }, machine, stopping.signal);
    if (stopping.signal.aborted) return;
    if (isAnswered(health)) answered?.add(id);
    else answered?.delete(id);
    await writer.write((tx) => storeHealth(tx, id, health));
  }

  function schedule(id: string, delayMs: number): void {
    if (queued.has(id)) return;
    clearTimeout(timers.get(id));
    const timer = setTimeout(() => {
      timers.delete(id);
      queued.add(id);
      const settled = (): boolean => queued.delete(id);
      attempted('health.check', log, () => queue.add(() => check(id))).then(settled, settled);
    }, delayMs);
    timers.set(id, timer);
  }

  /** Checks soon what is linked and was not answered last. */
  function follow(id: string): void {
    const node = topology.nodes.get(id);
    if (node?.role !== 'tentacle' || answered?.has(id) !== false || topology.liveness(node).live !== 'online') return;
    const nowMs = performance.now();
    if (nowMs - (followedMs.get(id) ?? -Infinity) < intervalMs / FOLLOWED_PER_INTERVAL) return;
    followedMs.set(id, nowMs);
    schedule(id, Math.random() * Math.min(FOLLOW_JITTER_MS, intervalMs));
  }

  async function round(): Promise<void> {
    // Jitter: a thousand machines behind one relay must not be called in the same instant.
    const machines = await store.machines.select({ acceptsWork: true });
    answered = new Set(machines.filter(isAnswered).map(({ id }) => id));
    for (const { id } of machines) if (!timers.has(id)) schedule(id, Math.random() * intervalMs);
  }

  const stopRounds = every(intervalMs, 'health.round', log, round);
  background('health.round', log, round);
  const unfollow = topology.onChange(({ nodes }) => {
    for (const id of nodes) follow(id);
  });

  return {
    async stop() {
      stopRounds();
      unfollow();
      stopping.abort();
      for (const timer of timers.values()) clearTimeout(timer);
      queue.clear();
      await queue.onIdle();
    },
  };
}

function isAnswered({ health }: Pick<Machine, 'health'>): boolean {
  return health !== 'unknown' && health !== 'unreachable';
}
