// Measures tunnels over a long line: 100 Mbit/s and 40 ms to a relay host, then a second relay host and the target.
import { Lab } from '../../test/lab/support/lab.ts';
import { startMesh, type MeshProcesses } from './chain.ts';
import { percentile, rounded, type BenchContext } from './report.ts';

const mib = 1024 * 1024;
const shape = { delayMs: 20, rateMbit: 100 };
const path = ['r1', 'r2'];
const lineSecondBytes = (shape.rateMbit * 1e6) / 8;

async function startInLab(lab: Lab): Promise<MeshProcesses> {
  return startMesh({
    origin: { role: 'server', host: '0.0.0.0', spawner: lab.spawner('hub') },
    r1: {
      role: 'relay',
      parent: 'origin',
      parentHost: lab.address('hub', 'wan'),
      host: '0.0.0.0',
      spawner: lab.spawner('relay1'),
    },
    r2: {
      role: 'relay',
      parent: 'r1',
      parentHost: lab.address('relay1', 'dmz'),
      host: '0.0.0.0',
      spawner: lab.spawner('relay2'),
    },
    t2: { role: 'tentacle', parent: 'r2', parentHost: lab.address('relay2', 'inner'), spawner: lab.spawner('target') },
  });
}

/** The share of the line that a body uses in each direction, and the latency of control traffic meanwhile. */
export async function longLine({ quick, say }: BenchContext): Promise<{
  figures: Record<string, number>;
  notes: string[];
}> {
  const bytes = (quick ? 48 : 128) * mib;
  const lab = await Lab.up({
    lans: { dmz: ['relay1', 'relay2'], inner: ['relay2', 'target'] },
    lines: { wan: { between: ['hub', 'relay1'], shape } },
  });
  try {
    say(`a line of ${shape.rateMbit} Mbit/s and ${2 * shape.delayMs} ms through two relays, ${lab.congestion}`);
    const processes = await startInLab(lab);
    try {
      const origin = processes.node('origin');
      const where = { node: 't2', path };
      const idle = await origin.ask<number[]>('ping', { ...where, count: 20 });
      const share = async (verb: 'download' | 'upload', size = bytes): Promise<{ share: number; pings: number[] }> => {
        let over = false;
        const transfer = origin.ask<number>(verb, { ...where, bytes: size }).finally(() => (over = true));
        const pings: number[] = [];
        while (!over) pings.push(...(await origin.ask<number[]>('ping', { ...where, count: 10 })));
        const seconds = await transfer;
        return { share: (size * 8) / seconds / (shape.rateMbit * 1e6), pings };
      };
      // The first transfer finds the line's rate; the next ones start with its window.
      const first = await share('upload', lineSecondBytes);
      const again = await share('upload', lineSecondBytes);
      // Down is towards the target, as for a package; up is towards the server.
      const down = await share('upload');
      const up = await share('download');
      const during = [...down.pings, ...up.pings];
      const roundTrips = (ms: number): number => rounded(ms / (2 * shape.delayMs));
      say(`control while idle: median ${percentile(idle).toFixed(1)} ms`);
      say(
        `control during bulk: median ${percentile(during).toFixed(1)} ms, p95 ${percentile(during, 0.95).toFixed(1)} ms, ` +
          `worst ${Math.max(...during).toFixed(1)} ms of ${during.length}`,
      );
      return {
        figures: {
          wan_down_share: rounded(down.share),
          wan_up_share: rounded(up.share),
          wan_first_second_share: rounded(first.share),
          wan_next_second_share: rounded(again.share),
          control_rtts_during_bulk: roundTrips(percentile(during, 0.95)),
          control_rtts_during_bulk_median: roundTrips(percentile(during)),
          control_rtts_during_bulk_max: roundTrips(Math.max(...during)),
        },
        notes: [
          `the line: TUN shaper, ${lab.congestion}, ${bytes / mib} MiB in each direction, the start of the transfer included`,
          'wan_first_second_share: a transfer of as many bytes as the line carries in a second, the first over these ' +
            'links; wan_next_second_share: the next one',
          'control_rtts_during_bulk: 95th percentile of echo round trips through both relays while bulk runs',
        ],
      };
    } finally {
      await processes.stop();
    }
  } finally {
    await lab.down();
  }
}
