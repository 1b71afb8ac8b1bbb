// Bench: the throughput and cost of tunnels. Endpoints and relays are processes of their own; rounds are interleaved, so
// that a slow minute of the machine affects every variant alike.
import { join } from 'node:path';
import { identityFolder } from '../certs/identity.ts';
import { lacks } from '../test/support/needs.ts';
import { startMesh, type MeshProcesses } from './support/chain.ts';
import { BenchChild, type Usage } from './support/child.ts';
import { percentile, rounded, type Bench, type BenchContext, type Figure } from './support/report.ts';
import { longLine } from './support/long-line.ts';

const mib = 1024 * 1024;
const relays = ['r1', 'r2', 'r3'] as const;

interface Forwarder {
  download(bytes: number): Promise<number>;
  stop(): Promise<void>;
}

/** A plain TLS forwarder between two plain TLS endpoints, with the mesh's certificates. */
async function startForwarder(processes: MeshProcesses): Promise<Forwarder> {
  const script = join(import.meta.dirname, 'children/tls-forwarder.ts');
  const { dataDir } = await processes.mesh.node('plain', 'server');
  const identityFile = join(identityFolder(dataDir), 'node.json');
  const [source, forwarder, sink] = [0, 1, 2].map(() => BenchChild.start(script)) as [
    BenchChild,
    BenchChild,
    BenchChild,
  ];
  const sourcePort = await source.ask<number>('start', { identityFile });
  const port = await forwarder.ask<number>('start', { identityFile, forwardTo: sourcePort });
  await sink.ask('start', { identityFile });
  return {
    download: (bytes) => sink.ask<number>('download', { port, bytes }),
    stop: async () => void (await Promise.all([source, forwarder, sink].map((child) => child.stop()))),
  };
}

const loopbackPlan = {
  origin: { role: 'server' },
  t0: { role: 'tentacle', parent: 'origin' },
  r1: { role: 'relay', parent: 'origin' },
  t1: { role: 'tentacle', parent: 'r1' },
  r2: { role: 'relay', parent: 'r1' },
  t2: { role: 'tentacle', parent: 'r2' },
  r3: { role: 'relay', parent: 'r2' },
  t3: { role: 'tentacle', parent: 'r3' },
} as const;

/** Throughput on loopback, where processors are the limit: ratios and processor time. */
async function throughput({ quick, say }: BenchContext, processes: MeshProcesses): Promise<Record<string, number>> {
  const bytes = (quick ? 96 : 256) * mib;
  const rounds = quick ? 3 : 7;
  const origin = processes.node('origin');
  const relay = processes.node('r1');
  const forwarder = await startForwarder(processes);
  const rates = [0, 1, 2, 3].map(() => [] as number[]);
  const plain: number[] = [];
  const cpu: number[] = [];
  try {
    for (let round = -1; round < rounds; round += 1) {
      for (const [hops, samples] of rates.entries()) {
        const before = await relay.ask<Usage>('usage');
        const path = relays.slice(0, hops);
        const seconds = await origin.ask<number>('download', { node: `t${hops}`, path, bytes });
        const after = await relay.ask<Usage>('usage');
        if (round < 0) continue;
        samples.push(bytes / seconds / 1e6);
        if (hops === 1) cpu.push(((after.cpuSeconds - before.cpuSeconds) * 1024 * mib) / bytes);
      }
      const seconds = await forwarder.download(bytes);
      if (round >= 0) plain.push(bytes / seconds / 1e6);
    }
  } finally {
    await forwarder.stop();
  }
  const [direct = 0, one = 0, two = 0, three = 0] = rates.map((samples) => percentile(samples));
  say(`MB/s: direct ${rounded(direct)}, 1 relay ${rounded(one)}, 2 ${rounded(two)}, 3 ${rounded(three)}`);
  say(`MB/s: one plain TLS forwarder, no inner TLS ${rounded(percentile(plain))}`);
  return {
    direct_mb_s: rounded(direct),
    relay1_ratio: rounded(one / direct),
    relay2_ratio: rounded(two / direct),
    relay3_ratio: rounded(three / direct),
    relay_cpu_s_per_gib: rounded(percentile(cpu)),
    forwarder_ratio: rounded(one / percentile(plain)),
  };
}

/** How much each relay's memory grows while a reader reads nothing of a GiB. */
async function stalledReader({ say }: BenchContext, processes: MeshProcesses): Promise<Record<string, number>> {
  const rss = async (): Promise<number[]> =>
    Promise.all(relays.slice(0, 2).map(async (name) => (await processes.node(name).ask<Usage>('usage')).rssBytes));
  const origin = processes.node('origin');
  const idle = await rss();
  await origin.ask('stall', { node: 't2', path: ['r1', 'r2'], bytes: 1024 * mib });
  let highest = idle.map(() => 0);
  const until = Date.now() + 4_000;
  while (Date.now() < until) {
    const now = await rss();
    highest = highest.map((value, index) => Math.max(value, now[index] ?? 0));
    await origin.ask('ping', { node: 'r1', path: [], count: 5 });
  }
  await origin.ask('unstall');
  const grown = highest.map((value, index) => (value - (idle[index] ?? 0)) / mib);
  say(`a stalled reader: relays grew by ${grown.map((value) => `${value.toFixed(1)} MB`).join(', ')}`);
  return { stalled_relay_mb: rounded(Math.max(0, ...grown)) };
}

export const bench: Bench = async (context) => {
  const { quick, say } = context;
  const notes = [
    `${quick ? 3 : 7} interleaved rounds of ${quick ? 96 : 256} MiB, medians; every node a process, on this machine`,
    'forwarder_ratio: one relay (TLS per hop and TLS end to end) to a plain TLS forwarder that has no TLS end to end',
  ];
  let figures: Record<string, Figure>;
  say('tunnels on loopback: an origin, a chain of three relays, a target behind each');
  const processes = await startMesh(loopbackPlan);
  try {
    // First, while every process is still small.
    const stalled = await stalledReader(context, processes);
    figures = { ...(await throughput(context, processes)), ...stalled };
  } finally {
    await processes.stop();
  }
  const unmeasured = {
    ...{ wan_down_share: null, wan_up_share: null, control_rtts_during_bulk: null },
    ...{ wan_first_second_share: null, wan_next_second_share: null },
  };
  if (lacks('root', 'namespaces', 'iproute', 'gcc', 'tun')) {
    notes.push('the long line needs root, network namespaces, /dev/net/tun, iproute2 and gcc');
    return { figures: { ...figures, ...unmeasured }, rivals: {}, notes };
  }
  const line = await longLine(context);
  return { figures: { ...figures, ...line.figures }, rivals: {}, notes: [...notes, ...line.notes] };
};
