// Long faults side by side in one lab: a site is partitioned from its server for five units, for two of them an agent
// behind the cut is stopped and a script there cancelled; at another site the relay and then the agent are stopped for
// two units each. A unit is a minute where ISTHMUS_LONG is set, else seconds, with limits shorter in proportion.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { isLong, limits } from './support/durations.ts';
import { startDoomed, type Doomed } from './support/doomed.ts';
import { labOfThisFile } from './support/open.ts';
import type { MachineId } from './support/sites.ts';
import { wholeAgain, wholeAgainMs } from './support/stages.ts';

/** The unit of the numbers below. */
const unitMs = isLong ? 60_000 : 6_000;
const everyMs = 100;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('minutes of faults in the lab', () => {
  const open = labOfThisFile({ delayMs: 20, rateMbit: 50 }, { limits });

  /** Starts scripts that print until shortly before a fault of so many units ends; resolves once they run. */
  const printThrough = async (machines: readonly MachineId[], units: number) => {
    const { world, witness } = open;
    // A loop takes slightly longer than its pauses.
    const lines = Math.round((units * unitMs * 0.8) / everyMs);
    const body = witness.script('long', lines, everyMs);
    const { id } = await world.api.post<{ id: string }>('scripts', { body, machines, deadlineS: 900 });
    for (const machine of machines) {
      await waitFor(async () => (await witness.said(machine, id, 'long')) > 10, {
        limitMs: wholeAgainMs,
        what: `the script on ${machine} to run`,
      });
    }
    return { id, lines, machines };
  };
  type Printing = Awaited<ReturnType<typeof printThrough>>;

  /** Waits until the task shows each machine as unreachable, and asserts that it has failed none of them. */
  const unreachable = async ({ id, machines }: Printing): Promise<void> => {
    const { api } = open.world;
    const isTold = async (): Promise<boolean> => {
      const told = (await api.stream(id)).filter(
        ({ kind, code }) => kind === 'message' && (code === 'UNREACHABLE' || code === 'LINK_TIMEOUT'),
      );
      return machines.every((each) => told.some(({ machine }) => machine === each));
    };
    await waitFor(isTold, { limitMs: wholeAgainMs, everyMs: 200, what: 'each machine to be shown as unreachable' });
    const task = await api.task(id);
    expect(task.state).toBe('running');
    expect(task.machines.map(({ state }) => state)).toEqual(machines.map(() => 'running'));
  };

  /** Asserts after the fault: one end within the time limit, each script started once, no line lost. */
  const endsWhole = async ({ id, lines, machines }: Printing): Promise<void> => {
    const { world, witness } = open;
    const over = Date.now();
    for (const machine of machines) {
      await waitFor(() => witness.hasEnded(machine, id, 'long'), { limitMs: 60_000, what: `the end on ${machine}` });
    }
    const task = await world.api.ended(id);
    expect(Date.now() - over).toBeLessThan(wholeAgainMs);
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    await witness.agrees(world.api, task, { long: lines });
  };

  const stopped = async (part: string, units: number, then: () => Promise<void>): Promise<void> => {
    await open.world.signal(part, 'SIGSTOP');
    try {
      await sleep(units * unitMs);
      await then();
    } finally {
      await open.world.signal(part, 'SIGCONT');
    }
  };

  /** A cancel that is not answered until the task has ended without it. */
  const cancelled = async ({ id, alive }: Doomed): Promise<void> => {
    const { api } = open.world;
    await api.post(`tasks/${id}/cancel`);
    expect(await api.ended(id)).toMatchObject({ state: 'interrupted' });
    expect(alive()).toBe(2);
  };

  const parted = async (): Promise<void> => {
    const { lab } = open;
    const printing = await printThrough(['eu-1', 'eu-2', 'pci-1', 'pci-2'], 5);
    const doomed = await startDoomed(open, 'pci-1');
    await lab.cut('wan-eu');
    try {
      await Promise.all([sleep(5 * unitMs), stopped('eu-2', 2, () => Promise.resolve()), cancelled(doomed)]);
      await unreachable(printing);
    } finally {
      await lab.heal('wan-eu');
    }
    await endsWhole(printing);
    await waitFor(() => doomed.alive() === 0, { limitMs: wholeAgainMs, what: 'the cancelled script to be ended' });
    expect(await open.world.api.task(doomed.id)).toMatchObject({ state: 'interrupted' });
  };

  const stoppedInTurn = async (): Promise<void> => {
    for (const part of ['us', 'us-1']) {
      const printing = await printThrough(['us-1'], 2);
      await stopped(part, 2, () => unreachable(printing));
      await endsWhole(printing);
    }
  };

  test(
    'a site parted for 5, an agent in it stopped for 2, a relay and an agent elsewhere for 2 each: unreachable, not failed, then whole',
    async () => {
      await Promise.all([parted(), stoppedInTurn()]);
      await wholeAgain(open);
    },
    9 * 60_000,
  );
});
