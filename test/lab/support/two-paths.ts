// A site with two paths in, and machines that may take either.
//
//   hub ──wan-near── near ══▶ ordered, ◀══ auto      (the server dials relay near: the shorter line)
//   hub ──wan-far─── far  ══▶ ordered, ◀══ auto      (relay far dials out to the server)
import type { NodePlan } from '../../support/world.ts';
import { Lab, type LineShape } from './lab.ts';
import { inLab, machineOn, type Topology } from './topology.ts';

const site = 'eu';
export const relays = ['near', 'far'] as const;
export const machines = ['ordered', 'auto'] as const;

/** The line to relay far has three times the delay, so that `auto` takes the other one. */
function layOut(shape: LineShape): Promise<Lab> {
  return Lab.up({
    lans: { 'lan-eu': [...relays, ...machines] },
    lines: {
      'wan-near': { between: ['hub', 'near'], shape },
      'wan-far': { between: ['hub', 'far'], shape: { ...shape, delayMs: shape.delayMs * 3 } },
    },
  });
}

function nodes(lab: Lab): NodePlan[] {
  const { at, listen } = inLab(lab);
  const via = (relay: string): object => ({ kind: 'path', via: [relay] });
  const behindBoth = { role: 'tentacle', site, parent: 'near' } as const;
  return [
    { id: 'near', role: 'relay', site, parent: 'server', dialAddress: at('near', 'wan-near'), listen },
    { id: 'far', role: 'relay', site, parent: 'server', parentAddress: at('hub', 'wan-far'), listen },
    {
      ...{ id: 'ordered', ...behindBoth, otherParents: [{ node: 'far' }] },
      ...{ dialAddress: at('ordered', 'lan-eu'), listen, machine: machineOn(...relays.map(via)) },
    },
    {
      ...{ id: 'auto', ...behindBoth, parentAddress: at('near', 'lan-eu') },
      otherParents: [{ node: 'far', address: at('far', 'lan-eu') }],
      machine: machineOn({ kind: 'auto' }),
    },
  ];
}

export const twoPaths: Topology = { sites: [site], layOut, nodes };
