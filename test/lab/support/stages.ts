// The stages of a deployment, and how a test outside the product sees that a machine has reached one.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '../../support/wait.ts';
import { releasesFolder, type LabRelease } from './deploying.ts';
import type { OpenLab } from './open.ts';

/** After a fault has ended, the system is whole again within this time (promise I12). */
export const wholeAgainMs = 30_000;

interface Seen {
  readonly open: OpenLab;
  readonly task: string;
  readonly release: LabRelease;
  readonly machine: string;
}

type Probe = (seen: Seen) => Promise<boolean>;

const said =
  (name: string, lines: number): Probe =>
  async ({ open, task, machine }) =>
    (await open.witness.said(machine, task, name)) >= lines;

const has =
  (share: number): Probe =>
  async ({ open, release, machine }) => {
    const packages = join(open.world.dataDir(machine), 'packages');
    const whole = join(packages, 'blobs', release.sha256.slice(0, 2), release.sha256);
    const bytes = await Promise.any([stat(join(packages, 'partial', release.sha256)), stat(whole)]);
    return bytes.size >= release.packageBytes * share;
  };

/** In order. */
const probes = {
  'the deployment is accepted': () => Promise.resolve(true),
  'the package is asked for': has(0),
  'half the package is here': has(0.5),
  'the package is unpacked': async ({ open, release, machine }) => {
    const folder = join(open.world.dataDir(machine), releasesFolder);
    const names = await readdir(join(folder, '.private'));
    if (names.some((name) => name.startsWith(`${release.version}-`))) return true;
    return (await readdir(join(folder, 'releases'))).some((name) => name.startsWith(`${release.version}-`));
  },
  'the pre-deploy script runs': said('pre', 3),
  'the release is activated': async ({ open, task, machine }) => {
    const { machines } = await open.world.api.task(task);
    const steps = machines.find((each) => each.machine === machine)?.steps ?? [];
    return steps.some(({ action, state }) => action === 'activate' && state !== 'pending');
  },
  'the post-deploy script runs': said('post', 5),
  'the script step runs': said('after', 3),
  'the last script has ended': ({ open, task, machine }) => open.witness.hasEnded(machine, task, 'after'),
} as const satisfies Record<string, Probe>;

export type Stage = keyof typeof probes;
export const stages = Object.keys(probes) as Stage[];

/** Waits until a machine has reached a stage of a deployment, or is past it. */
export async function reached(stage: Stage, seen: Seen): Promise<void> {
  await waitFor(() => probes[stage](seen), { limitMs: 90_000, everyMs: 4, what: `${stage} on ${seen.machine}` });
}

/** Waits until every link is up and no script has left a workspace at its machine. */
export async function wholeAgain({ world }: OpenLab): Promise<void> {
  await world.linked(undefined, wholeAgainMs);
  const machines = world.nodes.filter(({ role }) => role === 'tentacle');
  await waitFor(
    async () => {
      const left = machines.map(async ({ id }) => (await readdir(join(world.dataDir(id), 'tickets'))).length);
      return (await Promise.all(left)).every((count) => count === 0);
    },
    { limitMs: wholeAgainMs, everyMs: 100, what: 'every script to be completed at its machine' },
  );
}
