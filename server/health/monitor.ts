// Checks every machine's health once per interval, spread over it, with a concurrency limit of its own.
import PQueue from 'p-queue';
import { attempted, background, every } from '../../lib/async/background.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { acceptsWork } from '../store/inventory/machines.ts';
import type { Store } from '../store/store.ts';
import { checkHealth, storeHealth } from './health-check.ts';
import type { RoutesOf } from '../tasks/routes.ts';
import type { Tentacles } from '../tasks/execution/tentacles.ts';
import type { Writer } from '../tasks/writer.ts';

interface MonitorOptions {
  readonly store: Pick<Store, 'machines'>;
  readonly writer: Writer;
  readonly tentacles: Tentacles;
  readonly routesOf: RoutesOf;
  readonly log: Logger;
  /** Between two checks of one machine. */
  readonly intervalMs: number;
}

const CONCURRENCY = 16;

export interface HealthMonitor {
  stop(): Promise<void>;
}

/** Starts the checks: each machine's first one at a random time within the first interval. */
export function startHealthMonitor({
  store,
  writer,
  tentacles,
  routesOf,
  log,
  intervalMs,
}: MonitorOptions): HealthMonitor {
  const queue = new PQueue({ concurrency: CONCURRENCY });
  const stopping = new AbortController();
  const timers = new Set<NodeJS.Timeout>();
  const waiting = new Set<string>();

  async function check(id: string): Promise<void> {
    const machine = await store.machines.find(id);
    if (machine === undefined || !acceptsWork(machine)) return;
    const health = await checkHealth({ tentacles, routesOf }, machine, stopping.signal);
    if (stopping.signal.aborted) return;
    await writer.write((tx) => storeHealth(tx, id, health));
  }

  function schedule(id: string, delayMs: number): void {
    if (waiting.has(id)) return;
    waiting.add(id);
    const timer = setTimeout(() => {
      timers.delete(timer);
      const settled = (): boolean => waiting.delete(id);
      attempted('health.check', log, () => queue.add(() => check(id))).then(settled, settled);
    }, delayMs);
    timers.add(timer);
  }

  async function round(): Promise<void> {
    // Jitter: a thousand machines behind one relay must not be called in the same instant.
    for (const { id } of await store.machines.select({ acceptsWork: true })) schedule(id, Math.random() * intervalMs);
  }

  const stopRounds = every(intervalMs, 'health.round', log, round);
  background('health.round', log, round);

  return {
    async stop() {
      stopRounds();
      stopping.abort();
      for (const timer of timers) clearTimeout(timer);
      queue.clear();
      await queue.onIdle();
    },
  };
}
