// The mesh that the quickstart builds: three sites, with every kind of connection a node can have.
//
//   server ═══▶ relay eu ═══▶ relay eu-pci        ═══▶ who dials
//      ▲           ╠══▶ eu-1      ╠══▶ eu-pci-1
//      ║           ╠◀══ eu-2      ╠◀══ eu-pci-2
//      ║           ╚◀══ mirror-eu ╚◀══ mirror-eu-pci  (its packages come from mirror-eu, over the mesh)
//      ╚════ relay us ◀══ us-1
import type { JoinRole } from '../../contract/join-tokens.ts';
import type { MachineRoute } from '../../contract/machines.ts';

export interface DemoNode {
  readonly id: string;
  readonly role: JoinRole;
  readonly site: string;
  /** 'server' or a relay's id. */
  readonly parent: string;
  /** Whether its parent dials it; else it dials its parent. */
  readonly dialled: boolean;
}

const node = (id: string, role: JoinRole, site: string, parent: string, dialled: boolean): DemoNode => ({
  id,
  role,
  site,
  parent,
  dialled,
});

export const DEMO_NODES: readonly DemoNode[] = [
  node('eu', 'relay', 'eu', 'server', true),
  node('us', 'relay', 'us', 'server', false),
  node('eu-pci', 'relay', 'eu-pci', 'eu', true),
  node('mirror-eu', 'mirror', 'eu', 'eu', false),
  node('mirror-eu-pci', 'mirror', 'eu-pci', 'eu-pci', false),
  node('eu-1', 'tentacle', 'eu', 'eu', true),
  node('eu-2', 'tentacle', 'eu', 'eu', false),
  node('eu-pci-1', 'tentacle', 'eu-pci', 'eu-pci', true),
  node('eu-pci-2', 'tentacle', 'eu-pci', 'eu-pci', false),
  node('us-1', 'tentacle', 'us', 'us', false),
];

export const DEMO_SITES: readonly { readonly id: string; readonly description: string }[] = [
  { id: 'eu', description: 'behind a relay that the server dials' },
  { id: 'eu-pci', description: 'behind relay eu: two relays from the server' },
  { id: 'us', description: 'its relay dials out to the server' },
];

export const DEMO_MACHINES: readonly DemoNode[] = DEMO_NODES.filter(({ role }) => role === 'tentacle');

/** Whether a node listens: it is a relay, or its parent dials it. */
export function listens(each: DemoNode): boolean {
  return each.role === 'relay' || each.dialled;
}

/** The relays between the server and a node, in order. */
export function relaysTo(each: DemoNode): string[] {
  const parent = DEMO_NODES.find(({ id }) => id === each.parent);
  return parent === undefined ? [] : [...relaysTo(parent), parent.id];
}

/** The machine's route as data. */
export function routeTo(each: DemoNode): MachineRoute {
  const via = relaysTo(each);
  return via.length === 0 ? { kind: 'direct' } : { kind: 'path', via };
}

/** The links between two sites (the server counts as one of its own), parent first. */
export function siteLinks(): { from: string; to: string }[] {
  const siteOf = (id: string): string => DEMO_NODES.find((each) => each.id === id)?.site ?? 'server';
  return DEMO_NODES.filter((each) => siteOf(each.parent) !== each.site).map((each) => ({
    from: each.parent,
    to: each.id,
  }));
}
