// Bench: how fast scripts start, and how soon their first line arrives. Real bash on real tentacle processes; a start
// counts when the script itself has written to the witness file.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort, World, type NodePlan } from '../test/support/world.ts';
import { processorTimeMs } from './support/processor-time.ts';
import { percentile, rounded, type Bench, type BenchContext } from './support/report.ts';

const site = 'bench';
/** Starts per second and tentacle in the first rounds, which open every session. */
const warmPerTentacle = 2;
/** Interval of other scripts that start during a burst. */
const otherEveryMs = 250;

interface Fleet {
  readonly world: World;
  readonly witness: string;
  readonly direct: readonly string[];
  readonly behindTwo: readonly string[];
}

/** Starts a server, two relays in a chain, tentacles behind the second, and some directly at the server. */
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

interface Rounds {
  readonly count: number;
  /** On each machine. */
  readonly perSecond: number;
}

/** The time from the API's 202 to the first line of each machine on the task's live stream. */
async function firstLinesOf({ world, witness }: Fleet, machines: readonly string[]): Promise<number[]> {
  const body = `echo "$ISTHMUS_TASK $ISTHMUS_MACHINE $$" >> ${witness}\necho here`;
  const { id } = await world.api.post<{ id: string }>('scripts', { body, machines, isolation: 'shared' });
  const accepted = performance.now();
  const seen = new Map<string, number>();
  await world.api.follow(id, ({ kind, data }) => {
    if (kind === 'log' && !seen.has(data.machine)) seen.set(data.machine, performance.now() - accepted);
  });
  if (seen.size !== machines.length) throw new Error(`task ${id} showed lines of ${seen.size} machines`);
  return [...seen.values()];
}

/** Starts a script on every machine in rounds at a steady rate, and measures each machine's first line. */
async function firstLines(fleet: Fleet, machines: readonly string[], rounds: Rounds): Promise<Timed> {
  const following: Promise<number[]>[] = [];
  const began = performance.now();
  for (let round = 0; round < rounds.count; round += 1) {
    const due = began + (round * 1000) / rounds.perSecond;
    await setTimeout(Math.max(0, due - performance.now()));
    const times = firstLinesOf(fleet, machines);
    // Awaited below; until then a failure must not end the process.
    times.catch(() => undefined);
    following.push(times);
  }
  const firstLineMs = (await Promise.all(following)).flat();
  return { firstLineMs, starts: firstLineMs.length };
}

interface Burst {
  readonly startsPerS: number;
  /** First lines of the other scripts that started meanwhile. */
  readonly others: readonly number[];
  readonly cpuMs: Readonly<Record<string, number>>;
}

/** Processor time of every component so far. */
function cpuOf({ world, direct, behindTwo }: Fleet): Record<string, number> {
  const agents = processorTimeMs([...direct, ...behindTwo].map((id) => world.pid(id)));
  const bench = process.cpuUsage();
  return {
    server: processorTimeMs([world.pid('server')]).own,
    relays: processorTimeMs([world.pid('r1'), world.pid('r2')]).own,
    tentacles: agents.own,
    'launchers and bash': agents.children,
    bench: (bench.user + bench.system) / 1000,
  };
}

/** Sends many starts at once and measures the rate at which the scripts themselves started. */
async function burst(fleet: Fleet, tasks: number): Promise<Burst> {
  const { world, witness, behindTwo: machines, direct } = fleet;
  // A builtin: another process for the time would add a third to the cost of a start.
  const body = `echo "$EPOCHREALTIME" >> ${witness}.burst`;
  const before = cpuOf(fleet);
  const ids: string[] = [];
  for (let i = 0; i < tasks; i += 1) {
    ids.push((await world.api.post<{ id: string }>('scripts', { body, machines, isolation: 'shared' })).id);
  }
  const working = new AbortController();
  const others = (async (): Promise<number[]> => {
    const times: Promise<number[]>[] = [];
    while (!working.signal.aborted) {
      const time = firstLinesOf(fleet, direct.slice(0, 1));
      // Awaited below, as in firstLines.
      time.catch(() => undefined);
      times.push(time);
      await setTimeout(otherEveryMs);
    }
    return (await Promise.all(times)).flat();
  })();
  others.catch(() => undefined);
  for (const id of ids) {
    const { state } = await world.api.ended(id, 180_000);
    if (state !== 'succeeded') throw new Error(`task ${id} ended ${state}`);
  }
  working.abort();
  const otherTimes = await others;
  const after = cpuOf(fleet);
  const times = (await readFile(`${witness}.burst`, 'utf8')).trim().split('\n').map(Number);
  const starts = tasks * machines.length;
  if (times.length !== starts) throw new Error(`${times.length} scripts ran, ${starts} were accepted`);
  await rm(`${witness}.burst`);
  const cpuMs = Object.entries(after).map(
    ([component, ms]) => [component, (ms - (before[component] ?? 0)) / starts] as const,
  );
  return {
    startsPerS: starts / (Math.max(...times) - Math.min(...times)),
    others: otherTimes,
    cpuMs: Object.fromEntries(cpuMs),
  };
}

async function measure({ quick, say }: BenchContext, fleet: Fleet): ReturnType<Bench> {
  const { direct, behindTwo, witness } = fleet;
  const warming = { count: quick ? 5 : 20, perSecond: warmPerTentacle };
  const warm = [await firstLines(fleet, direct, warming), await firstLines(fleet, behindTwo, warming)];
  const peak = await burst(fleet, quick ? 20 : 100);
  const { startsPerS, cpuMs, others } = peak;
  say(`a burst: ${rounded(startsPerS)} starts/s; processor time per start, in ms:`);
  for (const [component, ms] of Object.entries(cpuMs)) say(`  ${component.padEnd(20)} ${rounded(ms)}`);
  // A higher rate than the machine can do would measure the length of a queue.
  const rate = (share: number, machines: readonly string[]): Rounds => {
    const perSecond = (startsPerS * share) / machines.length;
    return { count: Math.ceil(perSecond * (quick ? 8 : 30)), perSecond };
  };
  const near = await firstLines(fleet, direct, rate(0.5, direct));
  const far = await firstLines(fleet, behindTwo, rate(0.5, behindTwo));
  const full = await firstLines(fleet, behindTwo, rate(1, behindTwo));
  const accepted = [...warm, near, far, full].reduce((sum, { starts }) => sum + starts, others.length);
  const rows = (await readFile(witness, 'utf8')).trim().split('\n');
  const distinct = new Set(rows.map((row) => row.split(' ').slice(0, 2).join(' '))).size;
  if (rows.length !== accepted || distinct !== accepted) {
    throw new Error(`the witness has ${rows.length} starts, ${distinct} different; ${accepted} were accepted`);
  }
  say(`the witness files have each of ${accepted} accepted starts and of the burst's exactly once`);
  const { bench: driver = 0, ...components } = cpuMs;
  const perStart = Object.values(components).reduce((sum, ms) => sum + ms, 0);
  return {
    figures: {
      tentacles: behindTwo.length,
      starts_per_s: rounded(startsPerS),
      direct_first_line_ms_p50: rounded(percentile(near.firstLineMs)),
      direct_first_line_ms_p99: rounded(percentile(near.firstLineMs, 0.99)),
      relay2_first_line_ms_p50: rounded(percentile(far.firstLineMs)),
      relay2_first_line_ms_p99: rounded(percentile(far.firstLineMs, 0.99)),
      relay2_at_peak_first_line_ms_p50: rounded(percentile(full.firstLineMs)),
      relay2_at_peak_first_line_ms_p99: rounded(percentile(full.firstLineMs, 0.99)),
      others_first_line_ms_p50: rounded(percentile(others)),
      others_first_line_ms_max: rounded(percentile(others, 1)),
      cpu_ms_per_start: rounded(perStart),
    },
    rivals: {},
    notes: [
      `first lines: from the API's 202 to the line on the live stream; a script on all machines at once, at half the rate ` +
        `of the burst (${rounded(startsPerS / 2)} starts/s in all), and at that rate (at_peak); ${direct.length} direct, ` +
        `${behindTwo.length} behind two relays`,
      'starts_per_s: a burst; from the first start to the last, by the scripts’ own clocks',
      'others: a script on one direct machine every quarter of a second during the burst',
      `cpu_ms_per_start: in the burst, all components; the bench itself used ${rounded(driver)} in addition`,
      'all nodes and scripts are processes on this machine',
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
    } catch (thrown) {
      throw new Error(`the last log lines of the server:\n${await fleet.world.log('server')}`, { cause: thrown });
    } finally {
      await fleet.world.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
