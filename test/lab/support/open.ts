// A lab with a mesh (the main job's by default), a witness and a project to deploy, for a file of tests.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { World } from '../../support/world.ts';
import { makeProject, type LabProject } from './deploying.ts';
import type { Lab, LineShape } from './lab.ts';
import { run } from './run.ts';
import { threeSites } from './sites.ts';
import { populate, type PopulateOptions, type Topology } from './topology.ts';
import { Witness } from './witness.ts';

export interface OpenOptions extends PopulateOptions {
  readonly topology?: Topology;
  /** Nodes whose data folder is a disk of its own, with its size in MiB. */
  readonly disks?: Readonly<Record<string, number>>;
}

export interface OpenLab {
  readonly lab: Lab;
  readonly world: World;
  readonly witness: Witness;
  readonly project: LabProject;
}

interface ClosableLab extends OpenLab {
  /** Leaves nothing. */
  close(): Promise<void>;
}

/** Creates hosts and lines, joins and starts every node, creates the project. */
async function openLab(shape: LineShape, options: OpenOptions): Promise<ClosableLab> {
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

/**
 * One lab for the tests of a file. A test that fails prints the log of every process, and the next test gets a new lab:
 * in the broken one all others would fail too, each after its longest wait.
 */
export function labOfThisFile(shape: LineShape, options: OpenOptions = {}): OpenLab {
  let opened: ClosableLab | undefined;
  const open = async (): Promise<void> => {
    opened = await openLab(shape, options);
  };
  const close = async (): Promise<void> => {
    await opened?.close();
    opened = undefined;
  };
  const now = (): OpenLab => {
    if (opened === undefined) throw new Error('the lab is not open');
    return opened;
  };
  beforeAll(open);
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    const why = task.result.errors?.map(({ message }) => message).join('\n') ?? '';
    console.error(`${why}\n${await now().world.autopsy()}`);
    await close();
    await open();
  });
  afterAll(close);
  return {
    get lab() {
      return now().lab;
    },
    get world() {
      return now().world;
    },
    get witness() {
      return now().witness;
    },
    get project() {
      return now().project;
    },
  };
}

/** Mounts a disk; returns the function that unmounts it. */
async function smallDisk(path: string, mebibytes: number): Promise<() => Promise<unknown>> {
  await mkdir(path, { mode: 0o700 });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=700`, 'tmpfs', path]);
  // A process of the lab keeps the mounts that existed when it entered its namespace, until it ends.
  return () => run('umount', ['--lazy', path]);
}
