// The main job's mesh in the lab: three sites behind long lines, with every kind of connection of a node once.
//
//   hub ──wan-eu── eu ══▶ eu-1, ◀══ eu-2, ◀══ mirror-eu        (the server dials relay eu)
//                   └──wan-pci── pci ══▶ pci-1, ◀══ pci-2, ◀══ mirror-pci   (relay eu dials relay pci: two hops)
//   hub ──wan-us── us ◀══ us-1                                 (relay us dials out to the server)
import type { NodePlan } from '../../support/world.ts';
import { Lab, type LineShape } from './lab.ts';
import { inLab, machineOn, type Topology } from './topology.ts';

/** Every machine, with the relays to it and the lines that its packages cross. */
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

function layOut(shape: LineShape): Promise<Lab> {
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

function nodes(lab: Lab): NodePlan[] {
  const { at, listen } = inLab(lab);
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
      machine: machineOn({ kind: 'path', via: [...via] }),
    };
  });
  return [...relays, ...mirrors, ...tentacles];
}

export const threeSites: Topology = { sites: ['eu', 'pci', 'us'], layOut, nodes };
