// Each component is killed at each stage of a deployment. Components that do not depend on each other are killed
// together, and two such groups in one deployment, half of the stages apart. The kill follows when the files of the
// machine or the task show the stage, not after some time.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { labOfThisFile } from './support/open.ts';
import { machineIds, type MachineId } from './support/sites.ts';
import { reached, stages, wholeAgain, wholeAgainMs, type Stage } from './support/stages.ts';

/** Thin, so that the transfer of a package can be observed. */
const shape = { delayMs: 20, rateMbit: 6 };
const bodyBytes = 400_000;
/** So that unpacking takes long enough to be observed. */
const smallFiles = 300;

/** The machine that shows the stage, for each component that is killed. */
const watched = {
  server: 'pci-1',
  eu: 'eu-1',
  pci: 'pci-2',
  us: 'us-1',
  'mirror-eu': 'eu-2',
  'mirror-pci': 'pci-1',
  'eu-1': 'eu-1',
  'eu-2': 'eu-2',
  'pci-1': 'pci-1',
  'pci-2': 'pci-2',
  'us-1': 'us-1',
} as const satisfies Record<string, MachineId>;

type Component = keyof typeof watched;

/** Components that do not depend on each other, killed together. */
const server: readonly Component[] = ['server'];
const relays: readonly Component[] = ['eu', 'us'];
const innerRelay: readonly Component[] = ['pci', 'eu-1', 'us-1'];
const mirrorEu: readonly Component[] = ['mirror-eu', 'pci-1'];
const mirrorPci: readonly Component[] = ['mirror-pci', 'eu-2', 'pci-2'];
const groups = [server, relays, innerRelay, mirrorEu, mirrorPci];

/**
 * The groups that share deployments: the first is killed at a stage of the first half, the second half of the stages
 * later, and the third at the last stage, where one is left over.
 */
const sharing = [
  [server, mirrorEu, innerRelay],
  [relays, mirrorPci, server],
  [innerRelay, server, mirrorEu],
  [mirrorEu, relays, mirrorPci],
  [mirrorPci, innerRelay, relays],
];

interface Kill {
  readonly components: readonly Component[];
  readonly stage: Stage;
}

const half = Math.floor(stages.length / 2);
const runs = stages.slice(0, half).flatMap((_stage, first) =>
  sharing.map((row) => {
    const kills = row.flatMap((components, index): Kill[] => {
      const stage = stages[first + index * half];
      return stage === undefined ? [] : [{ components, stage }];
    });
    const named = kills.map(({ components, stage }) => `${components.join(', ')} killed when ${stage}`).join('; ');
    return [named, kills] as const;
  }),
);

test('every group is killed at every stage', () => {
  const name = ({ components, stage }: Kill): string => `${components.join(', ')} when ${stage}`;
  const killed = runs.flatMap(([, kills]) => kills.map(name));
  const wanted = stages.flatMap((stage) => groups.map((components) => name({ components, stage })));
  expect(killed.sort()).toEqual(wanted.sort());
});

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('components killed in the lab', () => {
  const open = labOfThisFile(shape);

  const killAndStart = async (component: Component): Promise<void> => {
    await open.world.signal(component, 'SIGKILL');
    await open.world.start(component);
  };

  // `$named` would be cut short, and several tests have the same name.
  test.for(runs)('%s: the deployment ends whole', async ([, kills]) => {
    const { world, project } = open;
    const release = await project.release(bodyBytes, smallFiles);
    const task = await project.deploy(release);
    const killAt = async (component: Component, stage: Stage): Promise<void> => {
      await reached(stage, { open, task, release, machine: watched[component] });
      await killAndStart(component);
    };
    await Promise.all(
      kills.flatMap(({ components, stage }) => components.map((component) => killAt(component, stage))),
    );
    const back = Date.now();
    const ended = await world.api.ended(task);
    await project.arrived(ended, release);
    expect(Date.now() - back).toBeLessThan(wholeAgainMs);
    await wholeAgain(open);
  });

  test.for(['half the package is here', 'the post-deploy script runs'] as const)(
    'relays that are started again with nothing but who they are when %s: the deployment ends whole',
    async (stage) => {
      const { world, project } = open;
      const release = await project.release(bodyBytes, smallFiles);
      const task = await project.deploy(release);
      await Promise.all(
        (['eu', 'pci', 'us'] as const).map(async (relay) => {
          await reached(stage, { open, task, release, machine: watched[relay] });
          await world.signal(relay, 'SIGKILL');
          const folder = world.dataDir(relay);
          const others = (await readdir(folder)).filter((name) => !['identity', 'config.yaml'].includes(name));
          await Promise.all(others.map((name) => rm(join(folder, name), { recursive: true })));
          await world.start(relay);
        }),
      );
      await project.arrived(await world.api.ended(task), release);
      await wholeAgain(open);
    },
  );

  test('a tentacle killed when half its package is there fetches the other half, and no more', async () => {
    const { lab, world, project } = open;
    const release = await project.release(2_000_000);
    const before = (await lab.bytes('wan-us')).forward;
    const task = await project.deploy(release);
    await reached('half the package is here', { open, task, release, machine: 'us-1' });
    await killAndStart('us-1');
    await project.arrived(await world.api.ended(task), release);
    const crossed = (await lab.bytes('wan-us')).forward - before;
    expect(crossed).toBeGreaterThan(release.packageBytes);
    expect(crossed).toBeLessThan(release.packageBytes * 1.3);
  });

  test('machines that lose their power under a script: interrupted there, the log up to the cut', async () => {
    const { lab, world, witness } = open;
    const lines = 100;
    const body = witness.script('work', lines, 50);
    const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: machineIds });
    const cut = ['eu-1', 'us-1'] as const;
    for (const machine of cut) {
      await waitFor(async () => (await witness.said(machine, id, 'work')) > 20, { what: 'the script to run' });
      await lab.powerCut(machine);
      await killAndStart(machine);
    }
    const task = await world.api.ended(id);
    expect(task.state, JSON.stringify(task)).toBe('interrupted');
    const isCut = ({ machine }: { readonly machine: string }): boolean => cut.some((each) => each === machine);
    for (const { machine, state, steps } of task.machines.filter(isCut)) {
      expect([state, steps.map(({ error }) => error?.code)], machine).toEqual(['interrupted', ['SCRIPT_INTERRUPTED']]);
      const log = (await world.api.stream(id)).filter((entry) => entry.kind === 'log' && entry.machine === machine);
      expect(log.map(({ line }) => line)).toEqual(log.map((_entry, index) => index + 1));
      const said = await witness.said(machine, id, 'work');
      expect(said).toBeLessThan(lines);
      const printed = log.flatMap(({ text }) => /^line (\d+) of work/.exec(text)?.[1] ?? []).map(Number);
      expect(printed).toEqual(printed.map((_number, index) => index + 1));
      // The script writes the witness first: the line that it was about to print at the cut may be missing.
      expect(printed.length).toBeGreaterThanOrEqual(said - 1);
      expect(printed.length).toBeLessThanOrEqual(said);
      expect(log.length, 'a line that says where it was cut').toBe(printed.length + 1);
    }
    const others = task.machines.filter((machine) => !isCut(machine));
    await witness.agrees(world.api, { ...task, machines: others }, { work: lines });
    await wholeAgain(open);
  });

  test.for(groups.map((components) => ({ components, named: components.join(', ') })))(
    '$named killed during a health check: it ends, and soon one finds all healthy',
    async ({ components }) => {
      const { api } = open.world;
      const check = async (): Promise<string> =>
        (await api.post<{ id: string }>('health-checks', { machines: machineIds })).id;
      const id = await check();
      await Promise.all(components.map(killAndStart));
      const task = await api.ended(id);
      expect(['succeeded', 'failed'], JSON.stringify(task)).toContain(task.state);
      expect(task.machines.map(({ machine }) => machine).sort()).toEqual([...machineIds].sort());
      expect(task.machines.every(({ state }) => ['succeeded', 'failed'].includes(state))).toBe(true);
      await wholeAgain(open);
      // A child's last report about its link to a killed relay may be older than the relay's restart.
      await waitFor(async () => (await api.ended(await check())).state === 'succeeded', {
        limitMs: wholeAgainMs,
        what: 'a check that finds all healthy',
      });
    },
  );
});
