// The main job's mesh in the lab: three sites behind long lines, and each way a node can be connected once.
//
//   hub ──wan-eu── eu ══▶ eu-1, ◀══ eu-2, ◀══ mirror-eu        (the server dials relay eu)
//                   └──wan-pci── pci ══▶ pci-1, ◀══ pci-2, ◀══ mirror-pci   (relay eu dials relay pci: two hops)
//   hub ──wan-us── us ◀══ us-1                                 (relay us dials out to the server)
import { World, type NodePlan } from '../../support/world.ts';
import { Lab, type LineShape } from './lab.ts';

const port = 8444;
export const environment = 'lab';
export const targetRole = 'web';

/** Every machine, with the relays to it and the lines that a body for it crosses. */
export const machines = {
  'eu-1': { via: ['eu'], dialled: true },
  'eu-2': { via: ['eu'], dialled: false },
  'pci-1': { via: ['eu', 'pci'], dialled: true },
  'pci-2': { via: ['eu', 'pci'], dialled: false },
  'us-1': { via: ['us'], dialled: false },
} as const;
export type MachineId = keyof typeof machines;
export const machineIds = Object.keys(machines) as MachineId[];
export const lineNames = ['wan-eu', 'wan-pci', 'wan-us'] as const;

/** Hosts and lines, without a process in them. */
export function layOut(shape: LineShape): Promise<Lab> {
  return Lab.up({
    lans: {
      'lan-eu': ['eu', 'eu-1', 'eu-2', 'mirror-eu'],
      'lan-pci': ['pci', 'pci-1', 'pci-2', 'mirror-pci'],
      'lan-us': ['us', 'us-1'],
    },
    lines: {
      'wan-eu': { between: ['hub', 'eu'], shape },
      'wan-pci': { between: ['eu', 'pci'], shape },
      'wan-us': { between: ['hub', 'us'], shape },
    },
  });
}

export interface SitesOptions {
  /** Further words for the start of a node, by its id. */
  readonly settings?: Readonly<Record<string, readonly string[]>>;
  /** Nodes whose data folder is a disk of its own, of so many MiB. */
  readonly disks?: Readonly<Record<string, number>>;
}

function plans(lab: Lab, { settings = {} }: SitesOptions): NodePlan[] {
  const at = (host: string, network: string): string => `${lab.address(host, network)}:${port}`;
  const listen = `0.0.0.0:${port}`;
  const relays: NodePlan[] = [
    { id: 'eu', role: 'relay', site: 'eu', parent: 'server', dialAddress: at('eu', 'wan-eu'), listen },
    { id: 'pci', role: 'relay', site: 'pci', parent: 'eu', dialAddress: at('pci', 'wan-pci'), listen },
    { id: 'us', role: 'relay', site: 'us', parent: 'server', parentAddress: at('hub', 'wan-us'), listen },
  ];
  const mirrors: NodePlan[] = ['eu', 'pci'].map((site) => ({
    ...{ id: `mirror-${site}`, role: 'mirror', site, parent: site },
    parentAddress: at(site, `lan-${site}`),
  }));
  const tentacles: NodePlan[] = Object.entries(machines).map(([id, { via, dialled }]) => {
    const site = via.at(-1) ?? '';
    const network = `lan-${site}`;
    return {
      ...{ id, role: 'tentacle', site, parent: site },
      ...(dialled ? { dialAddress: at(id, network), listen } : { parentAddress: at(site, network) }),
      machine: { environments: [environment], targetRoles: [targetRole], routes: [{ kind: 'path', via: [...via] }] },
    };
  });
  return [...relays, ...mirrors, ...tentacles].map((plan) => ({
    ...{ ...plan, spawner: lab.spawner(plan.id) },
    settings: settings[plan.id] ?? [],
  }));
}

/** Server and nodes, each in its host: every node joins from inside its own namespace, relays before what is behind them. */
export async function populate(lab: Lab, folder: string, options: SitesOptions = {}): Promise<World> {
  const world = await World.up({
    folder,
    meshListen: `0.0.0.0:${port}`,
    apiListen: '127.0.0.1:8443',
    spawner: lab.spawner('hub'),
    bridged: true,
  });
  try {
    for (const id of ['eu', 'pci', 'us']) await world.api.post('sites', { id, name: id });
    await world.api.post('environments', { id: environment, name: environment });
    const nodes = plans(lab, options);
    // A relay before what is behind it; what is behind them joins side by side.
    for (const plan of nodes.filter(({ role }) => role === 'relay')) await world.add(plan);
    await Promise.all(nodes.filter(({ role }) => role !== 'relay').map((plan) => world.add(plan)));
    await world.linked();
    return world;
  } catch (thrown) {
    await world.stop();
    throw thrown;
  }
}
