// Processes that are stopped and go on later, as by a debugger or a machine that sleeps: nothing closes, nobody
// answers. For longer than this, and relay us with what is behind it: minutes.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { labOfThisFile } from './support/open.ts';
import { machineIds } from './support/sites.ts';
import { wholeAgain, wholeAgainMs } from './support/stages.ts';

const stoppedS = 30;
const lines = 100;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('parts stopped in the lab', () => {
  const open = labOfThisFile({ delayMs: 20, rateMbit: 50 });

  test.for([
    { part: 'eu-1', cutOff: ['eu-1'] },
    { part: 'pci', cutOff: ['pci-1', 'pci-2'] },
  ] as const)(
    '$part stopped while scripts run: unreachable, not failed; it goes on and ends once',
    async ({ part, cutOff }) => {
      const { world, witness } = open;
      const body = witness.script('work', lines, 100);
      const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: machineIds, deadlineS: 600 });
      for (const machine of cutOff) {
        await waitFor(async () => (await witness.said(machine, id, 'work')) > 3, {
          limitMs: 30_000,
          what: 'the script to run',
        });
      }
      await world.signal(part, 'SIGSTOP');
      const stopped = Date.now();
      try {
        for (const machine of cutOff) {
          await waitFor(
            async () => {
              const told = (await world.api.stream(id)).filter(
                (entry) => entry.kind === 'note' && entry.machine === machine,
              );
              return told.some(({ code }) => code === 'UNREACHABLE' || code === 'LINK_TIMEOUT');
            },
            { limitMs: wholeAgainMs, everyMs: 200, what: `the task to show that ${machine} is unreachable` },
          );
        }
        await sleep(Math.max(0, stoppedS * 1000 - (Date.now() - stopped)));
        const task = await world.api.task(id);
        expect(task.state).toBe('running');
        expect(task.machines.filter(({ state }) => state !== 'running' && state !== 'succeeded')).toEqual([]);
      } finally {
        await world.signal(part, 'SIGCONT');
      }
      const back = Date.now();
      const ended = await world.api.ended(id);
      expect(ended.state, JSON.stringify(ended)).toBe('succeeded');
      expect(Date.now() - back).toBeLessThan(wholeAgainMs);
      await witness.agrees(world.api, ended, { work: lines });
      await wholeAgain(open);
    },
  );
});
