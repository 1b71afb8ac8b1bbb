// Bench: what many agents cost, and how fast they reconnect when their server or relay is killed. Agents are simulated,
// hundreds per process, with the real wire and their own certificates; server and relay are real processes.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../test/support/resident-memory.ts';
import { waitFor } from '../test/support/wait.ts';
import { freePort, World } from '../test/support/world.ts';
import { Fleet, createAgents } from './support/fleet.ts';
import { processorTimeMs } from './support/processor-time.ts';
import { percentile, rounded, type Bench, type BenchContext, type Figure } from './support/report.ts';

const site = 'bench';
/** Machines are checked as often as those of a mesh of this many, with the usual interval. */
const checkedMachines = 10_000;
const usualIntervalS = 300;

interface Setup {
  readonly world: World;
  readonly folders: readonly string[];
  readonly apiPort: number;
  readonly addresses: { readonly server: string; readonly relay: string };
}

function cpuS(pid: number): number {
  return processorTimeMs([pid]).own / 1000;
}

function answerMs(port: number): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/livez', agent: false }, (response) => {
      response.resume().once('end', () => resolve(performance.now() - began));
    }).once('error', reject);
  });
}

/** Processor share and answers of the idle server. */
async function idle({ world, apiPort }: Setup, seconds: number): Promise<{ share: number; answersMs: number[] }> {
  const pid = world.pid('server');
  const before = cpuS(pid);
  await sleep(seconds * 1000);
  const share = (cpuS(pid) - before) / seconds;
  const answersMs: number[] = [];
  for (const until = performance.now() + seconds * 1000; performance.now() < until; await sleep(20)) {
    answersMs.push(await answerMs(apiPort));
  }
  return { share, answersMs };
}

async function allUp(fleet: Fleet, agents: number): Promise<number[]> {
  return waitFor(
    async () => {
      const times = await fleet.upAtMs();
      if (times.length < agents) throw new Error(`${times.length} of ${agents} are up`);
      return times;
    },
    { limitMs: 180_000, everyMs: 100, what: 'every agent to be up' },
  );
}

interface Checked {
  readonly share: number;
  /** The share of machines whose last check was no call. */
  readonly byReport: number;
}

/** Starts the server, which does not run, with this time between the checks of a machine; 0 for none. */
async function startServer({ world }: Setup, intervalS: number): Promise<void> {
  const file = join(world.dataDir('server'), 'config.yaml');
  const settings = (await readFile(file, 'utf8')).replace(/^healthCheckIntervalS: .*\n/m, '');
  await writeFile(file, `${settings}healthCheckIntervalS: ${intervalS}\n`);
  await world.start('server');
}

interface MachinePage {
  readonly items: readonly { readonly healthReport: { readonly by: string } | null }[];
  readonly next?: string;
}

/** How many machines were last checked by what they report. */
async function checkedByReport({ api }: World): Promise<number> {
  let count = 0;
  for (let query: string | undefined = '?limit=500'; query !== undefined;) {
    const { items, next }: MachinePage = await api.get<MachinePage>(`machines${query}`);
    count += items.filter(({ healthReport }) => healthReport?.by === 'report').length;
    query = next === undefined ? undefined : `?limit=500&cursor=${next}`;
  }
  return count;
}

/** Processor share of the server while it checks every agent. */
async function checked(setup: Setup, agents: number, seconds: number): Promise<Checked> {
  const { world } = setup;
  const intervalS = Math.round((agents / checkedMachines) * usualIntervalS);
  await world.signal('server', 'SIGKILL');
  await startServer(setup, intervalS);
  await reported(world, agents);
  const limits = { limitMs: 180_000, everyMs: 1_000, what: 'every agent to be checked by its report' };
  await waitFor(async () => (await checkedByReport(world)) === agents, limits);
  const { share } = await idle(setup, Math.max(seconds, intervalS));
  return { share, byReport: (await checkedByReport(world)) / agents };
}

interface Storm {
  readonly fromKillS: number;
  readonly fromStartS: number;
  readonly spreadS: number;
  /** Processor time per reconnect: of the component after its start, and of the agent. */
  readonly componentCpuMs: number;
  readonly agentCpuMs: number;
}

/** Kills the parent of the agents, starts it again, and measures when each agent is back. */
async function storm({ world }: Setup, parent: string, fleet: Fleet, agents: number): Promise<Storm> {
  const agentsBefore = await fleet.cpuS();
  await world.signal(parent, 'SIGKILL');
  const killed = Date.now();
  await world.start(parent);
  const started = Date.now();
  const componentBefore = cpuS(world.pid(parent));
  const times = await waitFor(
    async () => (await fleet.upAtMs()).filter((at) => at >= killed).length === agents && fleet.upAtMs(),
    { limitMs: 180_000, everyMs: 100, what: 'every agent to be back' },
  );
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  const [componentAfter, agentsAfter] = [cpuS(world.pid(parent)), await fleet.cpuS()];
  return {
    componentCpuMs: ((componentAfter - componentBefore) * 1000) / agents,
    agentCpuMs: ((agentsAfter - agentsBefore) * 1000) / agents,
    fromKillS: (last - killed) / 1000,
    fromStartS: (last - started) / 1000,
    spreadS: (last - first) / 1000,
  };
}

/** Starts agents under a parent; returns what each costs it, once they have reported. */
async function under(
  setup: Setup,
  parent: 'server' | 'relay',
  pid: () => number,
): Promise<{ fleet: Fleet; kb: number }> {
  const { folders, world } = setup;
  const before = await residentBytes(pid());
  const node = parent === 'server' ? 'server' : 'r1';
  const fleet = await Fleet.start(folders, { node, address: setup.addresses[parent] });
  await allUp(fleet, folders.length);
  await reported(world, folders.length);
  return { fleet, kb: ((await residentBytes(pid())) - before) / 1024 / folders.length };
}

/** Waits until the server has reports from so many agents. */
async function reported(world: World, agents: number): Promise<void> {
  await waitFor(
    async () => {
      const { links } = await world.api.get<{ links: { to: string; state: string }[] }>('mesh');
      return links.filter(({ to, state }) => state === 'up' && to.startsWith('agent-')).length === agents;
    },
    { limitMs: 120_000, everyMs: 250, what: 'the server to know every link' },
  );
}

async function measure({ quick, say }: BenchContext, setup: Setup): ReturnType<Bench> {
  const agents = setup.folders.length;
  const { world } = setup;
  const server = await under(setup, 'server', () => world.pid('server'));
  let quiet: Awaited<ReturnType<typeof idle>>;
  let ofServer: Storm;
  let health: Checked;
  try {
    say(`${agents} agents at the server: ${rounded(server.kb)} kB each`);
    quiet = await idle(setup, quick ? 5 : 20);
    ofServer = await storm(setup, 'server', server.fleet, agents);
    await reported(world, agents);
    health = await checked(setup, agents, quick ? 5 : 20);
  } finally {
    await server.fleet.stop();
  }
  await world.signal('server', 'SIGKILL');
  await startServer(setup, 0);
  await world.linked(['r1']);
  const relay = await under(setup, 'relay', () => world.pid('r1'));
  let ofRelay: Storm;
  try {
    say(`${agents} agents at a relay: ${rounded(relay.kb)} kB each`);
    ofRelay = await storm(setup, 'r1', relay.fleet, agents);
  } finally {
    await relay.fleet.stop();
  }
  const whole = (value: number): Figure => (agents === 1000 ? rounded(value) : null);
  return {
    figures: {
      agents,
      server_kb_per_agent: rounded(server.kb),
      relay_kb_per_agent: rounded(relay.kb),
      idle_cpu_share: rounded(quiet.share),
      checked_cpu_share: rounded(health.share),
      checked_by_report: rounded(health.byReport),
      loop_p99_ms: rounded(percentile(quiet.answersMs, 0.99)),
      storm1000_s: whole(ofServer.fromKillS),
      storm_server_s: rounded(ofServer.fromKillS),
      storm_server_from_start_s: rounded(ofServer.fromStartS),
      storm_server_spread_s: rounded(ofServer.spreadS),
      storm_server_cpu_ms_per_agent: rounded(ofServer.componentCpuMs),
      storm_agent_cpu_ms_per_agent: rounded(ofServer.agentCpuMs),
      storm_relay_s: rounded(ofRelay.fromKillS),
      storm_relay_cpu_ms_per_agent: rounded(ofRelay.componentCpuMs),
    },
    rivals: {},
    notes: [
      'an agent has a link, a report stream and its own certificate; it runs no scripts',
      'kb per agent: growth of resident memory; at the relay with the tunnels in which its agents report',
      `checked: with the checks of ${checkedMachines} machines every ${usualIntervalS} s; idle without any`,
      'loop_p99_ms: GET /livez on the idle server, every 20 ms, over a new connection each time',
      'storm: from kill -9 to the last link up, the start of the process included; from_start without it',
      'cpu_ms_per_agent: of the component since its start and of the agents since the kill, until the last is back',
      ...(agents === 1000 ? [] : ['storm1000_s: needs 1,000 agents, which --quick does not start']),
    ],
  };
}

export const bench: Bench = async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const agents = context.quick ? 200 : 1000;
  const [mesh = 0, apiPort = 0, listen = 0] = await Promise.all([freePort(), freePort(), freePort()]);
  const addresses = { server: `127.0.0.1:${mesh}`, relay: `127.0.0.1:${listen}` };
  try {
    const world = await World.up({ folder, meshListen: addresses.server, apiListen: `127.0.0.1:${apiPort}` });
    try {
      await world.api.post('sites', { id: site, name: site });
      const parent = { parent: 'server', parentAddress: addresses.server };
      await world.add({ id: 'r1', role: 'relay', site, ...parent, listen: addresses.relay });
      await world.signal('server', 'SIGKILL');
      context.say(`creating ${agents} agents`);
      const folders = await createAgents(world.dataDir('server'), join(folder, 'agents'), site, agents);
      const setup = { world, folders, apiPort, addresses };
      await startServer(setup, 0);
      await world.linked(['r1']);
      return await measure(context, setup);
    } finally {
      await world.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
