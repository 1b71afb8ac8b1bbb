// The tables at the end of the quickstart: a line per machine, and the bytes that crossed each link between sites.
import { setTimeout as delay } from 'node:timers/promises';
import type { Machine } from '../../contract/machines.ts';
import type { Mesh, Ping } from '../../contract/mesh.ts';
import type { Task } from '../../contract/tasks.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import type { ApiClient } from '../client/client.ts';
import { healthText } from '../render/machine.ts';
import { renderTable } from '../render/table.ts';
import { milliseconds } from '../render/units.ts';
import { routesText } from '../values.ts';
import { siteLinks } from './topology.ts';

/** Bytes from parent to child of each link between sites, since the link's processes started. */
export type LinkCounters = ReadonlyMap<string, number>;

const COUNTERS_LIMIT_MS = 20_000;

/** Reads the counters now. */
export async function readCounters(client: ApiClient): Promise<LinkCounters> {
  const mesh = await client.get<Mesh>('mesh');
  return new Map(
    siteLinks().map(({ from, to }) => {
      // A link to the server may carry the server's node id.
      const link = mesh.links.find((each) => each.to === to && (each.from === from || from === 'server'));
      return [`${from} > ${to}`, link?.bytesDown ?? 0];
    }),
  );
}

/**
 * The bytes that each link carried since `before`. Reports come every few seconds: waits until each link reports
 * `atLeast` bytes.
 */
export async function carriedSince(
  client: ApiClient,
  before: LinkCounters,
  atLeast: number,
): Promise<Map<string, number>> {
  const untilMs = performance.now() + COUNTERS_LIMIT_MS;
  for (;;) {
    const now = await readCounters(client);
    const carried = new Map([...now].map(([link, count]) => [link, count - (before.get(link) ?? 0)]));
    if ([...carried.values()].every((count) => count >= atLeast) || performance.now() > untilMs) return carried;
    await delay(250);
  }
}

/**
 * Throws unless the package crossed each link between sites exactly once: more than its size, less than half as much
 * again.
 */
export function requireOnce(carried: ReadonlyMap<string, number>, packageBytes: number): void {
  for (const [link, count] of carried) {
    if (count >= packageBytes && count < 1.5 * packageBytes) continue;
    throw new IsthmusError('CHECK_FAILED', `${bytes(count)} crossed ${link} for a package of ${bytes(packageBytes)}`, {
      remedy: 'The package should cross each link between sites once; see the logs of the mirrors.',
    });
  }
}

/** Where each machine's package came from, by the acquire step of the deployment. */
export function packageSources(task: Task): Map<string, string> {
  const sources = new Map<string, string>();
  for (const { machine, steps } of task.machines) {
    const detail = steps.find(({ action }) => action === 'acquire')?.detail;
    const from = typeof detail?.['from'] === 'string' ? detail['from'] : '';
    sources.set(machine, detail?.['cached'] === true ? 'its own cache' : from || '-');
  }
  return sources;
}

async function roundTrip(client: ApiClient, machine: string): Promise<number | undefined> {
  const { body } = await client.post<Ping>('mesh/ping', { machine, count: 3 });
  const times = (body.paths[0]?.roundTripsMs ?? []).toSorted((a, b) => a - b);
  return times[Math.floor(times.length / 2)];
}

/** The table of machines; throws when one is not healthy or does not answer. */
export async function machineTable(client: ApiClient, deployment: Task): Promise<string> {
  const machines = await client.list<Machine>('machines');
  const sources = packageSources(deployment);
  const rows = await Promise.all(
    machines.map(async (machine) => {
      const hops = (machine.routes[0]?.kind === 'path' ? machine.routes[0].via.length : 0) + 1;
      const trip = await roundTrip(client, machine.id);
      return {
        machine,
        trip,
        cells: [
          machine.id,
          routesText(machine.routes),
          hops,
          milliseconds(trip),
          sources.get(machine.id),
          healthText(machine),
        ],
      };
    }),
  );
  const ill = rows.filter(
    ({ machine, trip }) => !['healthy', 'warning'].includes(machine.health) || trip === undefined,
  );
  const table = renderTable(
    ['machine', 'route', 'hops', 'round trip', 'package came from', 'health'],
    rows.map(({ cells }) => cells),
  );
  if (ill.length === 0) return table;
  throw new IsthmusError('CHECK_FAILED', `not healthy: ${ill.map(({ machine }) => machine.id).join(', ')}\n${table}`);
}

/** The table of links between sites. */
export function linkTable(carried: ReadonlyMap<string, number>, packageBytes: number): string {
  const rows = [...carried].map(([link, count]) => [
    link,
    bytes(count),
    `${(count / packageBytes).toFixed(2)} x the package`,
  ]);
  return renderTable(['link between sites', 'carried', ''], rows);
}
