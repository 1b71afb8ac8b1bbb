// Bench: how long a command takes to start from the tarball, beside an empty program of the same Node.js, and how much
// memory an idle tentacle has.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unpackedTree } from '../test/support/package.ts';
import type { Spawner } from '../test/support/spawner.ts';
import { freePort, World } from '../test/support/world.ts';
import { percentile, rounded, type Bench } from './support/report.ts';

const site = 'bench';
const tentacle = 'bench-1';
/** By then it has collected the garbage of its start. */
const SETTLES_MS = 30_000;
/** As its unit has it. */
const UNIT_ENV = { MALLOC_ARENA_MAX: '1' };

/** Milliseconds until a command has ended. */
function timeOf(command: string, ...args: readonly string[]): number {
  const began = performance.now();
  execFileSync(command, [...args], { stdio: 'ignore' });
  return performance.now() - began;
}

/** Samples of interleaved runs, in milliseconds, by name. */
function interleaved<Name extends string>(
  runs: number,
  timed: Readonly<Record<Name, () => number>>,
): Record<Name, readonly number[]> {
  const names = Object.keys(timed) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < runs; round += 1) for (const name of names) samples[name].push(timed[name]());
  return samples;
}

/** On a busy machine the fastest run says most. */
function timesOf(name: string, samples: readonly number[]): Record<string, number> {
  return { [`${name}_ms`]: rounded(percentile(samples)), [`${name}_fastest_ms`]: rounded(Math.min(...samples)) };
}

interface Memory {
  readonly rss: number;
  /** Its share, where other processes have the same pages. */
  readonly pss: number;
  /** What nobody else has, and the system cannot read again from a file. */
  readonly dirty: number;
}

/** What a process has resident, in MB. */
async function memoryMb(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string): number =>
    (Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024) / 1e6;
  return { rss: field('Rss'), pss: field('Pss'), dirty: field('Private_Dirty') };
}

/** Medians over some time. */
async function idleMb(pid: number, seconds: number): Promise<Memory> {
  const samples: Memory[] = [];
  for (const until = performance.now() + seconds * 1000; performance.now() < until; await sleep(1000)) {
    samples.push(await memoryMb(pid));
  }
  const median = (name: keyof Memory): number => rounded(percentile(samples.map((sample) => sample[name])));
  return { rss: median('rss'), pss: median('pss'), dirty: median('dirty') };
}

async function emptyNodeMb(node: string): Promise<number> {
  const script = "process.stdout.write('here'); process.stdin.resume()";
  const child = spawn(node, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const { rss } = await memoryMb(child.pid ?? 0);
  child.stdin.end();
  await once(child, 'exit');
  return rounded(rss);
}

export const bench: Bench = async ({ quick, say }) => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  let world: World | undefined;
  try {
    const tree = await unpackedTree(folder);
    const isthmus = join(tree, 'bin/isthmus');
    // Its first word is the program of the checkout.
    const fromTarball: Spawner = (_node, [, ...words], options) => spawn(isthmus, words, options);
    const asItsUnit: Spawner = (_node, [, ...words], options) =>
      spawn(isthmus, words, { ...options, env: { ...(options.env ?? process.env), ...UNIT_ENV } });
    const [mesh, api] = [await freePort(), await freePort()];
    const addresses = { meshListen: `127.0.0.1:${mesh}`, apiListen: `127.0.0.1:${api}` };
    world = await World.up({ folder, ...addresses, spawner: fromTarball });
    await world.api.post('sites', { id: site, name: site });
    await world.add({
      id: tentacle,
      role: 'tentacle',
      site,
      parent: 'server',
      parentAddress: addresses.meshListen,
      spawner: asItsUnit,
    });
    say('a tentacle has joined; reading its memory when it has settled');
    await sleep(SETTLES_MS);
    const idle = await idleMb(world.pid(tentacle), quick ? 30 : 300);
    say('timing commands');
    const context = join(folder, 'context/context.json');
    const times = interleaved(quick ? 15 : 50, {
      empty: () => timeOf(join(tree, 'bin/node'), '-e', '0'),
      version: () => timeOf(isthmus, '--version'),
      status: () => timeOf(isthmus, '--context', context, 'mesh', 'status'),
      checkout: () => timeOf(join(import.meta.dirname, '../bin/isthmus'), '--version'),
    });
    return {
      figures: {
        ...timesOf('version', times.version),
        ...timesOf('mesh_status', times.status),
        tentacle_idle_rss_mb: idle.rss,
        tentacle_idle_pss_mb: idle.pss,
        tentacle_idle_private_mb: idle.dirty,
      },
      rivals: {
        ...timesOf('empty_node', times.empty),
        ...timesOf('checkout_version', times.checkout),
        empty_node_rss_mb: await emptyNodeMb(join(tree, 'bin/node')),
      },
      notes: [],
    };
  } finally {
    await world?.stop();
    await rm(folder, { recursive: true, force: true });
  }
};
