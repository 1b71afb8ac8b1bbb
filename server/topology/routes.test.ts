// The checks of routes when they are saved.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { NodeRole } from '../../contract/nodes.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { nodeOf, topologyOf } from '../../test/support/topology.ts';
import { MAX_HOPS } from '../../mesh/limits.ts';
import { checkRoutes, defaultRoutes } from './routes.ts';

const now = 1_000_000;

const node = (id: string, role: NodeRole, parent: string | null, more: Partial<Node> = {}): Node =>
  nodeOf(id, role, parent === null ? [] : [parent], { lastSeenAt: now, ...more });

const mesh = [
  node('server-1', 'server', null),
  node('eu', 'relay', 'server'),
  node('eu-pci', 'relay', 'eu'),
  node('us', 'relay', 'server-1'),
  node('old', 'relay', 'server', { state: 'revoked' }),
  node('pci-1', 'tentacle', 'eu-pci'),
  node('edge-1', 'tentacle', 'server'),
];
const topology = topologyOf(mesh, { now });
const pci1 = { node: 'pci-1', parents: [{ node: 'eu-pci' }] };
const path = (...via: string[]): MachineRoute => ({ kind: 'path', via });

describe('a route', () => {
  it.each([
    ['an unknown relay', [path('eu', 'nowhere')], 'routes[0].via[1]'],
    ['a node that is no relay', [path('edge-1')], 'routes[0].via[0]'],
    ['a relay twice', [path('eu', 'eu-pci', 'eu-pci')], 'routes[0].via[2]'],
    ['a hop without a link', [path('eu', 'eu-pci'), path('us', 'eu-pci')], 'routes[1].via[1]'],
    ['an end that is not the parent', [path('eu')], 'routes[0].via[0]'],
    ['direct to a machine behind relays', [{ kind: 'direct' as const }], 'routes[0]'],
    ['more than eight hops', [path(...Array.from({ length: 9 }, (_, i) => `r-${i}`))], `routes[0].via[${MAX_HOPS}]`],
    ['no route at all', [], 'routes'],
  ])('with %s is rejected with the field', (_, routes, field) => {
    expect(() => {
      checkRoutes(routes, pci1, topology);
    }).toThrow(expect.objectContaining({ code: 'ROUTE_INVALID', field }) as Error);
  });

  it('over a revoked relay is rejected with what brings that back', () => {
    expect(() => {
      checkRoutes([path('old', 'eu-pci')], pci1, topology);
    }).toThrow(
      expect.objectContaining({
        ...{ code: 'MACHINE_REVOKED', field: 'routes[0].via[0]' },
        action: expect.objectContaining({ code: 'REJOIN_NODE' }) as object,
      }) as Error,
    );
  });

  it('that follows the tree is accepted', () => {
    checkRoutes([path('eu', 'eu-pci')], pci1, topology);
    checkRoutes([{ kind: 'direct' }], { node: 'edge-1', parents: [{ node: 'server' }] }, topology);
  });

  it('over a link that only a relay reports is accepted', () => {
    const report = { links: [{ peer: 'pci-1', relation: 'child', up: true, dialledBy: 'us' }] };
    const reported = topologyOf([...mesh, node('eu-2', 'relay', 'server', { report })], { now });
    checkRoutes([path('eu-2'), path('eu', 'eu-pci')], pci1, reported);
  });

  it('is the chain of parents when none is given', () => {
    expect(defaultRoutes(pci1, topology)).toEqual([path('eu', 'eu-pci')]);
    expect(defaultRoutes({ parents: [{ node: 'us' }] }, topology)).toEqual([path('us')]);
    expect(defaultRoutes({ parents: [{ node: 'server-1' }] }, topology)).toEqual([{ kind: 'direct' }]);
  });

  it('computed from any tree may be saved, and a cycle of parents is rejected', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 10 }), fc.nat(9), (parents, at) => {
        const relays = parents.map((parent, i) => node(`r-${i}`, 'relay', parent === i ? 'server' : `r-${parent}`));
        const tree = topologyOf(relays, { now });
        const target = { parents: [{ node: `r-${at % relays.length}` }] };
        let routes: MachineRoute[];
        try {
          routes = defaultRoutes(target, tree);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'ROUTE_INVALID', field: 'parents' });
          return;
        }
        checkRoutes(routes, target, tree);
      }),
    );
  });
});
