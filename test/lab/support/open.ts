// One lab with a mesh in it, the main job's unless told otherwise, for a file of tests: a witness, something to deploy.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { World } from '../../support/world.ts';
import { makeProject, type LabProject } from './deploying.ts';
import type { Lab, LineShape } from './lab.ts';
import { run } from './run.ts';
import { threeSites } from './sites.ts';
import { populate, type PopulateOptions, type Topology } from './topology.ts';
import { Witness } from './witness.ts';

export interface OpenOptions extends PopulateOptions {
  readonly topology?: Topology;
  /** Nodes whose data folder is a disk of its own, of so many MiB. */
  readonly disks?: Readonly<Record<string, number>>;
}

export interface OpenLab {
  readonly lab: Lab;
  readonly world: World;
  readonly witness: Witness;
  readonly project: LabProject;
  close(): Promise<void>;
}

/** Lays out hosts and lines, joins and starts every node, makes the project. `close` leaves nothing. */
export async function openLab(shape: LineShape, options: OpenOptions = {}): Promise<OpenLab> {
  const { topology = threeSites, disks = {} } = options;
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-lab-'));
  const closers: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const lab = await topology.layOut(shape);
    closers.push(() => lab.down());
    for (const [id, mebibytes] of Object.entries(disks)) closers.push(await smallDisk(join(folder, id), mebibytes));
    const world = await populate(lab, folder, topology, options);
    closers.push(() => world.stop());
    const witness = await Witness.in(join(folder, 'witness'));
    const project = await makeProject(world, folder, witness);
    return { lab, world, witness, project, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** Mounts a disk of its own; answers what takes it away again. */
async function smallDisk(path: string, mebibytes: number): Promise<() => Promise<unknown>> {
  await mkdir(path, { mode: 0o700 });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=700`, 'tmpfs', path]);
  // A process of the lab keeps what was mounted when its namespace was entered, until it ends.
  return () => run('umount', ['--lazy', path]);
}
