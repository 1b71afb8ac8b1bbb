// Processes that are stopped (SIGSTOP) and continue later, as by a debugger or a sleeping machine: nothing closes, and
// nobody answers. Longer stops, and those of relay us, are in minutes.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { isLong, limits } from './support/durations.ts';
import { labOfThisFile } from './support/open.ts';
import { machineIds } from './support/sites.ts';
import { wholeAgain, wholeAgainMs } from './support/stages.ts';

const stoppedS = isLong ? 30 : 10;
const lines = 100;
/** An agent, and a relay elsewhere, each with the machines that cannot be reached meanwhile. */
const parts = ['eu-1', 'pci'] as const;
const cutOff = ['eu-1', 'pci-1', 'pci-2'] as const;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('parts stopped in the lab', () => {
  const open = labOfThisFile({ delayMs: 20, rateMbit: 50 }, { limits });
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): Promise<unknown> =>
    Promise.all(parts.map((part) => open.world.signal(part, name)));

  test('an agent and a relay stopped while scripts run: unreachable, not failed; they go on and end once', async () => {
    const { world, witness } = open;
    const body = witness.script('work', lines, 100);
    const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: machineIds, deadlineS: 600 });
    for (const machine of cutOff) {
      await waitFor(async () => (await witness.said(machine, id, 'work')) > 3, {
        limitMs: 30_000,
        what: 'the script to run',
      });
    }
    const isToldOf = async (machine: string): Promise<boolean> =>
      (await world.api.stream(id)).some(
        (entry) =>
          entry.kind === 'message' &&
          entry.machine === machine &&
          (entry.code === 'UNREACHABLE' || entry.code === 'LINK_TIMEOUT'),
      );
    await signal('SIGSTOP');
    const stopped = Date.now();
    try {
      for (const machine of cutOff) {
        await waitFor(() => isToldOf(machine), {
          ...{ limitMs: wholeAgainMs, everyMs: 200 },
          what: `the task to show that ${machine} is unreachable`,
        });
      }
      await sleep(Math.max(0, stoppedS * 1000 - (Date.now() - stopped)));
      const task = await world.api.task(id);
      expect(task.state).toBe('running');
      expect(task.machines.filter(({ state }) => state !== 'running' && state !== 'succeeded')).toEqual([]);
    } finally {
      await signal('SIGCONT');
    }
    const back = Date.now();
    const ended = await world.api.ended(id);
    expect(ended.state, JSON.stringify(ended)).toBe('succeeded');
    expect(Date.now() - back).toBeLessThan(wholeAgainMs);
    await witness.agrees(world.api, ended, { work: lines });
    await wholeAgain(open);
  });
});
