// Routes as they are checked when saved and resolved when used.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { Role } from '../../certs/peer.ts';
import type { Node } from '../store/repositories/nodes.ts';
import type { Route } from '../store/routes.ts';
import { MAX_HOPS } from '../store/parents.ts';
import { checkRoutes, defaultRoutes, pathsFor } from './routes.ts';
import { buildTopology, linkBetween } from './topology.ts';

const now = 1_000_000;

function node(id: string, role: Role, parent: string | null, more: Partial<Node> = {}): Node {
  return {
    id,
    role,
    site: 'eu',
    parents: parent === null ? [] : [{ node: parent, dialAddress: null }],
    state: 'active',
    wish: null,
    certificateNotAfter: null,
    softwareVersion: null,
    feedUrl: null,
    report: null,
    lastSeenAt: now,
    revokedAt: null,
    version: 1,
    createdAt: 1,
    ...more,
  };
}

const mesh = [
  node('server-1', 'server', null),
  node('eu', 'relay', 'server'),
  node('eu-pci', 'relay', 'eu'),
  node('us', 'relay', 'server-1'),
  node('old', 'relay', 'server', { state: 'revoked' }),
  node('pci-1', 'tentacle', 'eu-pci'),
  node('edge-1', 'tentacle', 'server'),
];
const topology = buildTopology(mesh, [], now);
const pci1 = { node: 'pci-1', parents: [{ node: 'eu-pci' }] };
const path = (...via: string[]): Route => ({ kind: 'path', via });

describe('a route', () => {
  it.each([
    ['an unknown relay', [path('eu', 'nowhere')], 'routes[0].via[1]'],
    ['a node that is no relay', [path('edge-1')], 'routes[0].via[0]'],
    ['a revoked relay', [path('old', 'eu-pci')], 'routes[0].via[0]'],
    ['a relay twice', [path('eu', 'eu-pci', 'eu-pci')], 'routes[0].via[2]'],
    ['a hop without a link', [path('eu', 'eu-pci'), path('us', 'eu-pci')], 'routes[1].via[1]'],
    ['an end that is not the parent', [path('eu')], 'routes[0].via[0]'],
    ['direct to a machine behind relays', [{ kind: 'direct' as const }], 'routes[0]'],
    ['more than eight hops', [path(...Array.from({ length: 9 }, (_, i) => `r-${i}`))], `routes[0].via[${MAX_HOPS}]`],
    ['no route at all', [], 'routes'],
  ])('with %s is refused with the place', (_, routes, field) => {
    expect(() => {
      checkRoutes(routes, pci1, topology);
    }).toThrow(expect.objectContaining({ code: 'ROUTE_INVALID', field }) as Error);
  });

  it('that follows the tree is taken', () => {
    checkRoutes([path('eu', 'eu-pci')], pci1, topology);
    checkRoutes([{ kind: 'direct' }], { node: 'edge-1', parents: [{ node: 'server' }] }, topology);
  });

  it('over a link that only a relay reports is taken', () => {
    const report = { links: [{ peer: 'pci-1', relation: 'child', up: true, dialledBy: 'us' }] };
    const reported = buildTopology([...mesh, node('eu-2', 'relay', 'server', { report })], [], now);
    checkRoutes([path('eu-2'), path('eu', 'eu-pci')], pci1, reported);
  });

  it('is the chain of parents when none is given', () => {
    expect(defaultRoutes(pci1, topology)).toEqual([path('eu', 'eu-pci')]);
    expect(defaultRoutes({ parents: [{ node: 'us' }] }, topology)).toEqual([path('us')]);
    expect(defaultRoutes({ parents: [{ node: 'server-1' }] }, topology)).toEqual([{ kind: 'direct' }]);
  });

  it('computed from any tree is one that may be saved, and a cycle of parents is refused', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 10 }), fc.nat(9), (parents, at) => {
        const relays = parents.map((parent, i) => node(`r-${i}`, 'relay', parent === i ? 'server' : `r-${parent}`));
        const tree = buildTopology(relays, [], now);
        const target = { parents: [{ node: `r-${at % relays.length}` }] };
        let routes: Route[];
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

describe('paths in use', () => {
  const machine = { id: 'pci-1', routes: [path('eu', 'eu-pci'), path('eu-2')] };
  const eu2 = (up: boolean) =>
    node('eu-2', 'relay', 'server', {
      report: { links: [{ peer: 'pci-1', relation: 'child', up, dialledBy: 'peer' }] },
    });

  it('keep the order of preference', () => {
    expect(pathsFor(machine, buildTopology([...mesh, eu2(true)], [], now))).toEqual([['eu', 'eu-pci'], ['eu-2']]);
  });

  it('put what is known to be down last, and leave out what is revoked or gone', () => {
    const down = { peer: 'eu', peerRole: 'relay' as const, relation: 'child' as const, dialledBy: 'us' as const };
    const own = {
      ...down,
      address: undefined,
      up: false,
      upSinceMs: undefined,
      roundTripMs: undefined,
      linkTimeoutMs: undefined,
      bytesIn: 1,
      bytesOut: 2,
      tunnels: 0,
      lastErrorCode: 'UNREACHABLE' as const,
    };
    const cut = buildTopology([...mesh, eu2(true)], [own], now);
    expect(linkBetween(cut, 'server', 'eu')).toMatchObject({ up: false, bytesDown: 2, bytesUp: 1 });
    expect(pathsFor(machine, cut)).toEqual([['eu-2'], ['eu', 'eu-pci']]);
    expect(pathsFor(machine, topology)).toEqual([['eu', 'eu-pci']]);
    const revoked = mesh.map((entry) => (entry.id === 'eu' ? { ...entry, state: 'revoked' as const } : entry));
    expect(pathsFor(machine, buildTopology(revoked, [], now))).toEqual([]);
  });

  it('do not believe a report that is old', () => {
    const old = buildTopology([{ ...eu2(true), lastSeenAt: now - 60_000 }], [], now);
    expect(linkBetween(old, 'eu-2', 'pci-1')).toMatchObject({ up: false });
  });
});
