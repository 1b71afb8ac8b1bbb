import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { Machine } from '../store/inventory/machines.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { MachineHealth } from './judgement.ts';
import { HealthMonitor } from './monitor.ts';

const INTERVAL_MS = 300_000;
const healthy: MachineHealth = { health: 'healthy', by: 'report', reasons: [] };

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A monitor of machines that report their health, but for those that are silent: they have no route. */
function monitorOf(count: number, silent: ReadonlySet<string> = new Set()) {
  const machines = new Map<string, Partial<Machine> & { id: string }>();
  for (let at = 0; at < count; at += 1) {
    machines.set(`web-${at}`, { id: `web-${at}`, disabled: false, state: 'active', health: 'healthy' });
  }
  const calls: string[] = [];
  const judged: string[] = [];
  let writes = 0;
  const tx = { machines: { find: () => Promise.resolve(undefined) } } as unknown as StoreTransaction;
  const monitor = new HealthMonitor({
    store: {
      machines: {
        select: ({ ids }: { ids: readonly string[] }) => Promise.resolve(ids.map((id) => machines.get(id)!)),
        find: (id: string) => Promise.resolve(machines.get(id)),
      } as never,
    },
    topology: { routes: new Map([...machines.keys()].map((id) => [id, []])) },
    writer: {
      write: (work) => {
        writes += 1;
        return work(tx);
      },
      busy: false,
      idle: () => Promise.resolve(),
    },
    tentacles: {} as never,
    routesOf: (id) => {
      calls.push(id);
      return Promise.resolve([]);
    },
    reported: {
      judge: ({ id }) => {
        judged.push(id);
        return silent.has(id) ? undefined : healthy;
      },
    },
    log: silentLogger(),
    intervalMs: INTERVAL_MS,
  });
  return { monitor, calls, judged, machines, writes: () => writes };
}

describe('the monitor', () => {
  it('checks ten thousand machines that report once an interval, without a call, and spreads them', async () => {
    const { monitor, calls, judged, writes } = monitorOf(10_000);
    monitor.start();
    await vi.advanceTimersByTimeAsync(INTERVAL_MS / 2);
    expect(judged.length).toBeGreaterThan(4_000);
    expect(judged.length).toBeLessThan(6_000);
    await vi.advanceTimersByTimeAsync(INTERVAL_MS / 2 - 1);
    expect(new Set(judged).size).toBeGreaterThan(9_900);
    expect(judged.length).toBe(new Set(judged).size);
    expect(writes()).toBe(judged.length);
    expect(calls).toEqual([]);
    await monitor.stop();
  });

  it('calls the machines of which nothing is reported, and no other', async () => {
    const silent = new Set(['web-3', 'web-7']);
    const { monitor, calls } = monitorOf(20, silent);
    monitor.start();
    await vi.advanceTimersByTimeAsync(INTERVAL_MS - 1);
    expect(new Set(calls)).toEqual(silent);
    await monitor.stop();
  });

  it('checks a machine that has just become unreachable once more', async () => {
    const { monitor, calls, machines } = monitorOf(1, new Set(['web-0']));
    monitor.checkSoon(['web-0']);
    monitor.start();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(calls).toHaveLength(1);
    machines.set('web-0', { ...machines.get('web-0')!, health: 'unreachable' });
    await vi.advanceTimersByTimeAsync(16_000);
    expect(calls).toHaveLength(2);
    await monitor.stop();
  });

  it('says when its last round began', async () => {
    const { monitor } = monitorOf(0);
    expect(monitor.lastRoundAt).toBeNull();
    monitor.start();
    await vi.advanceTimersByTimeAsync(1);
    const first = monitor.lastRoundAt!;
    await vi.advanceTimersByTimeAsync(INTERVAL_MS);
    expect(monitor.lastRoundAt).toBe(first + INTERVAL_MS);
    await monitor.stop();
  });
});
