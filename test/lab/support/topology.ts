// The topology of a lab: hosts and lines, and the nodes on them. Every node joins from inside its own namespace.
import { World, type NodePlan } from '../../support/world.ts';
import type { Lab, LineShape } from './lab.ts';

const port = 8444;
export const environment = 'lab';
export const targetRole = 'web';

export interface Topology {
  readonly sites: readonly string[];
  /** Hosts and lines, without processes. */
  layOut(shape: LineShape): Promise<Lab>;
  /** A relay comes before the nodes behind it. */
  nodes(lab: Lab): readonly NodePlan[];
}

export interface PopulateOptions {
  /** Further arguments for the start of a node, by its id. */
  readonly settings?: Readonly<Record<string, readonly string[]>>;
  /** Limits other than the product's own, in seconds. */
  readonly limits?: { readonly linkTimeoutS?: number; readonly cancelTimeoutS?: number };
}

function option(name: string, value: number | undefined): string[] {
  return value === undefined ? [] : [`--${name}`, `${value}`];
}

/** How the nodes of a lab are addressed: each listens on the same port of its host. */
export function inLab(lab: Lab): { readonly listen: string; at(host: string, network: string): string } {
  return { listen: `0.0.0.0:${port}`, at: (host, network) => `${lab.address(host, network)}:${port}` };
}

/** A machine that gets the lab's deployments, by these routes. */
export function machineOn(...routes: object[]): NonNullable<NodePlan['machine']> {
  return { environments: [environment], targetRoles: [targetRole], routes };
}

/** Server and nodes, each in its host. */
export async function populate(
  lab: Lab,
  folder: string,
  topology: Topology,
  { settings = {}, limits = {} }: PopulateOptions,
): Promise<World> {
  const world = await World.up({
    folder,
    meshListen: `0.0.0.0:${port}`,
    apiListen: '127.0.0.1:8443',
    spawner: lab.spawner('hub'),
    bridged: true,
    serverSettings: [
      ...option('mesh-link-timeout-s', limits.linkTimeoutS),
      ...option('cancel-timeout-s', limits.cancelTimeoutS),
    ],
  });
  try {
    for (const id of topology.sites) await world.api.post('sites', { id, name: id });
    await world.api.post('environments', { id: environment, name: environment });
    const linkTimeout = option('link-timeout-s', limits.linkTimeoutS);
    const nodes = topology.nodes(lab).map((plan) => ({
      ...{ ...plan, spawner: lab.spawner(plan.id) },
      settings: [...linkTimeout, ...(settings[plan.id] ?? [])],
    }));
    // A relay joins before the nodes behind it; these join in parallel.
    for (const plan of nodes.filter(({ role }) => role === 'relay')) await world.add(plan);
    await Promise.all(nodes.filter(({ role }) => role !== 'relay').map((plan) => world.add(plan)));
    await world.linked();
    return world;
  } catch (thrown) {
    await world.stop();
    throw thrown;
  }
}
