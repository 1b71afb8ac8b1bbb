// How fast do scripts start, and how soon does their first line come? Real bash on real tentacles, each a process of the
// command line; a start counts when the script itself wrote it to the witness file.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, World, type NodePlan } from '../test/support/world.ts';
import { percentile, rounded, type Bench, type BenchContext } from './support/report.ts';

const site = 'bench';
/** Starts per second and tentacle that are asked for while first lines are timed: 200 a second on 20 tentacles. */
const offeredPerTentacle = 10;

interface Fleet {
  readonly world: World;
  readonly witness: string;
  readonly direct: readonly string[];
  readonly behindTwo: readonly string[];
}

/** A server, two relays one behind the other, tentacles behind the second and some at the server itself. */
async function startFleet(folder: string, tentacles: number, atServer: number): Promise<Fleet> {
  const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const [mesh = '', api = '', r1 = '', r2 = ''] = ports.map((port) => `127.0.0.1:${port}`);
  const world = await World.up({ folder, meshListen: mesh, apiListen: api });
  try {
    await world.api.post('sites', { id: site, name: site });
    await world.add({ id: 'r1', role: 'relay', site, parent: 'server', parentAddress: mesh, listen: r1 });
    await world.add({ id: 'r2', role: 'relay', site, parent: 'r1', parentAddress: r1, listen: r2 });
    const names = (prefix: string, count: number): string[] =>
      Array.from({ length: count }, (_none, index) => `${prefix}-${index + 1}`);
    const fleet = { direct: names('d', atServer), behindTwo: names('t', tentacles) };
    const plans: NodePlan[] = [
      ...fleet.direct.map((id) => ({
        ...{ id, role: 'tentacle' as const, site, parent: 'server', parentAddress: mesh },
        machine: { routes: [{ kind: 'direct' }] },
      })),
      ...fleet.behindTwo.map((id) => ({
        ...{ id, role: 'tentacle' as const, site, parent: 'r2', parentAddress: r2 },
        machine: { routes: [{ kind: 'path', via: ['r1', 'r2'] }] },
      })),
    ];
    const queue = [...plans];
    const worker = async (): Promise<void> => {
      for (let plan = queue.shift(); plan !== undefined; plan = queue.shift()) await world.add(plan);
    };
    await Promise.all([worker(), worker(), worker()]);
    await world.linked();
    return { world, witness: join(folder, 'witness'), ...fleet };
  } catch (thrown) {
    await world.stop();
    throw thrown;
  }
}

interface Timed {
  readonly firstLineMs: number[];
  readonly starts: number;
}

/** Starts a script on every machine `rounds` times at the offered rate, and times each machine's first line. */
async function firstLines({ world, witness }: Fleet, machines: readonly string[], rounds: number): Promise<Timed> {
  const firstLineMs: number[] = [];
  const body = `echo "$ISTHMUS_TASK $ISTHMUS_MACHINE $$" >> ${witness}\necho here`;
  const following: Promise<void>[] = [];
  const began = performance.now();
  for (let round = 0; round < rounds; round += 1) {
    const due = began + (round * 1000) / offeredPerTentacle;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    following.push(
      world.api.post<{ id: string }>('scripts', { body, machines, isolation: 'shared' }).then(({ id }) => {
        const accepted = performance.now();
        const seen = new Set<string>();
        return world.api.follow(id, ({ kind, data }) => {
          if (kind !== 'log' || seen.has(data.machine)) return;
          seen.add(data.machine);
          firstLineMs.push(performance.now() - accepted);
        });
      }),
    );
  }
  await Promise.all(following);
  return { firstLineMs, starts: rounds * machines.length };
}

/** Accepts many starts at once and takes the rate at which the scripts themselves began. */
async function burst({ world, witness }: Fleet, machines: readonly string[], tasks: number): Promise<number> {
  // A builtin: another process to tell the time would be a third of what a start costs.
  const body = `echo "$EPOCHREALTIME" >> ${witness}.burst`;
  const ids: string[] = [];
  for (let i = 0; i < tasks; i += 1) {
    ids.push((await world.api.post<{ id: string }>('scripts', { body, machines, isolation: 'shared' })).id);
  }
  for (const id of ids) {
    const { state } = await world.api.ended(id, 180_000);
    if (state !== 'succeeded') throw new Error(`task ${id} ended ${state}`);
  }
  const times = (await readFile(`${witness}.burst`, 'utf8')).trim().split('\n').map(Number);
  if (times.length !== tasks * machines.length) {
    throw new Error(`${times.length} scripts ran, ${tasks * machines.length} were accepted`);
  }
  return times.length / (Math.max(...times) - Math.min(...times));
}

async function measure({ quick, say }: BenchContext, fleet: Fleet): ReturnType<Bench> {
  const { direct, behindTwo, witness } = fleet;
  const rounds = quick ? 30 : 150;
  // The first round opens every inner session.
  const warm = [await firstLines(fleet, direct, 2), await firstLines(fleet, behindTwo, 2)];
  const near = await firstLines(fleet, direct, rounds);
  const far = await firstLines(fleet, behindTwo, rounds);
  const accepted = [...warm, near, far].reduce((sum, { starts }) => sum + starts, 0);
  const rows = (await readFile(witness, 'utf8')).trim().split('\n');
  const distinct = new Set(rows.map((row) => row.split(' ').slice(0, 2).join(' '))).size;
  if (rows.length !== accepted || distinct !== accepted) {
    throw new Error(`the witness has ${rows.length} starts, ${distinct} different; ${accepted} were accepted`);
  }
  say(`the witness file has each of ${accepted} accepted starts once`);
  const startsPerS = await burst(fleet, behindTwo, quick ? 20 : 100);
  return {
    figures: {
      tentacles: behindTwo.length,
      starts_per_s: rounded(startsPerS),
      direct_first_line_ms_p50: rounded(percentile(near.firstLineMs)),
      direct_first_line_ms_p99: rounded(percentile(near.firstLineMs, 0.99)),
      relay2_first_line_ms_p50: rounded(percentile(far.firstLineMs)),
      relay2_first_line_ms_p99: rounded(percentile(far.firstLineMs, 0.99)),
    },
    rivals: {},
    notes: [
      `first lines: from the API's 202 to the line on the live stream, ${offeredPerTentacle} starts/s offered per tentacle, ` +
        `${direct.length} direct, ${behindTwo.length} behind two relays (${offeredPerTentacle * behindTwo.length}/s in all)`,
      'starts_per_s: a burst; from the first script that began to the last, by the scripts’ own clocks',
      'every node is a process on this one machine, the scripts too',
    ],
  };
}

export const bench: Bench = async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const tentacles = context.quick ? 6 : 20;
  context.say(`a server, two relays, ${tentacles} tentacles behind both and ${tentacles / 2} at the server`);
  try {
    const fleet = await startFleet(folder, tentacles, tentacles / 2);
    try {
      return await measure(context, fleet);
    } finally {
      await fleet.world.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
