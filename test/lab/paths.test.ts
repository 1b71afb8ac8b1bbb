// A relay that is stopped or killed is bypassed when a machine's routes name another, as a list in order of preference
// or as `auto`. Before anything was sent that costs nothing; afterwards the same ticket takes the other path, so that a
// script starts once whatever the first path still delivers.
import { describe, expect, test } from 'vitest';
import type { TaskAnswer } from '../support/api.ts';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { labOfThisFile } from './support/open.ts';
import { reached, stages, wholeAgain, wholeAgainMs } from './support/stages.ts';
import { machines, twoPaths } from './support/two-paths.ts';

/** A link with an alternative is ended after 3 s of silence; the rest is for calls over the other path. */
const roundMs = 15_000;
const lines = 120;
const faults = ['SIGSTOP', 'SIGKILL'] as const;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('two paths to a machine in the lab', () => {
  const open = labOfThisFile({ delayMs: 15, rateMbit: 10 }, { topology: twoPaths });

  const run = async (body: string): Promise<string> =>
    (await open.world.api.post<{ id: string }>('scripts', { body, machines, deadlineS: 300 })).id;

  /** The relay that a call to each machine crosses now. */
  const paths = async (): Promise<unknown[]> => {
    const { api } = open.world;
    const task = await api.ended((await api.post<{ id: string }>('health-checks', { machines })).id);
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    return Promise.all(
      machines.map(async (machine) => {
        const { healthReport } = await api.get<{ healthReport: { route?: { via?: string[] } } }>(`machines/${machine}`);
        return healthReport.route?.via?.toString();
      }),
    );
  };
  const reachedThrough = (relay: string): Promise<unknown> =>
    waitFor(async () => (await paths()).every((through) => through === relay), {
      limitMs: wholeAgainMs,
      what: `both machines to be reached through ${relay}`,
    });

  const mend = (fault: (typeof faults)[number]): Promise<void> =>
    fault === 'SIGSTOP' ? open.world.signal('near', 'SIGCONT') : open.world.start('near');

  const ran = async (task: TaskAnswer, printed: number): Promise<void> => {
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    // One ticket for each machine, whichever path it took.
    expect(task.machines.map(({ steps }) => steps.length)).toEqual(machines.map(() => 1));
    await open.witness.agrees(open.world.api, task, { work: printed });
  };

  /** When a machine's start was sent, by the clock of the server. */
  const sentAt = async (id: string): Promise<number[]> =>
    (await open.world.api.stream(id)).flatMap(({ kind, text, at }) =>
      kind === 'state' && text === 'sent' ? [at] : [],
    );

  test.for(faults)('a start goes round a relay that has just taken %s', async (fault) => {
    const { world, witness } = open;
    await reachedThrough('near');
    await world.signal('near', fault);
    const since = Date.now();
    const id = await run(witness.script('work', 5));
    await ran(await world.api.ended(id), 5);
    expect(Date.now() - since).toBeLessThan(roundMs);
    expect(await paths()).toEqual(['far', 'far']);
    await mend(fault);
    await wholeAgain(open);
    // By now the relay has forwarded what it still held of the first sending.
    await ran(await world.api.task(id), 5);
    await reachedThrough('near');
  });

  test('a start that was sent into a stopped relay goes by the other path as the same ticket', async () => {
    const { world, witness } = open;
    await reachedThrough('near');
    await world.signal('near', 'SIGSTOP');
    const stopped = Date.now();
    const id = await run(witness.script('work', 5));
    // The tunnels are warm: it is sent at once, and its answer never comes.
    const sent = await waitFor(async () => ((await sentAt(id)).length === 2 ? sentAt(id) : undefined), {
      what: 'both starts to be sent',
    });
    expect(Math.max(...sent) - stopped).toBeLessThan(1_500);
    expect(await Promise.all(machines.map((machine) => witness.said(machine, id, 'work')))).toEqual([0, 0]);
    await ran(await world.api.ended(id), 5);
    expect(await sentAt(id)).toEqual(sent);
    await mend('SIGSTOP');
    await wholeAgain(open);
    await ran(await world.api.task(id), 5);
  });

  test.for(faults)('scripts print on through the other relay when theirs takes %s', async (fault) => {
    const { world, witness } = open;
    await reachedThrough('near');
    const id = await run(witness.script('work', lines, 50));
    await waitFor(
      async () =>
        (await Promise.all(machines.map((machine) => witness.said(machine, id, 'work')))).every((n) => n > 10),
      { limitMs: 30_000, what: 'the scripts to run' },
    );
    await world.signal('near', fault);
    const task = await world.api.ended(id);
    // It ended while the relay was still gone.
    await ran(task, lines);
    const ended = await Promise.all(machines.map((machine) => witness.hasEnded(machine, id, 'work')));
    expect(ended).toEqual([true, true]);
    await mend(fault);
    await wholeAgain(open);
    await reachedThrough('near');
  });

  const deployments = faults.flatMap((fault) =>
    stages
      .filter((stage) => ['half the package is here', 'the post-deploy script runs'].includes(stage))
      .map((stage) => ({ fault, stage })),
  );
  test.for(deployments)(
    'a deployment ends whole though the relay takes $fault when $stage',
    async ({ fault, stage }) => {
      const { world, project } = open;
      await reachedThrough('near');
      const release = await project.release(1_000_000);
      const task = await project.deploy(release);
      await reached(stage, { open, task, release, machine: 'ordered' });
      await world.signal('near', fault);
      await project.arrived(await world.api.ended(task), release);
      await mend(fault);
      await wholeAgain(open);
    },
  );
});
