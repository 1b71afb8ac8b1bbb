// How a machine is reached: which paths there are, in which order, and why one is not up.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MachineRoute } from '../../contract/machines.ts';
import { nodeOf, ownLink, topologyOf } from '../../test/support/topology.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { costMs } from './cost.ts';
import type { LiveTopology } from './live.ts';
import { createRouteResolver, hasUsablePath, pathsByParents, type RouteResolver } from './route-resolver.ts';

const now = 1_000_000;
const path = (...via: string[]): MachineRoute => ({ kind: 'path', via });
const auto: MachineRoute = { kind: 'auto' };

interface State {
  readonly roundTripMs: number;
  readonly up?: boolean;
  readonly cpuShare?: number;
}

/** Two relays below the server and a machine below both; the relays' own lines to the server take next to no time. */
function fork(relays: Readonly<Record<string, State>>, routes: readonly MachineRoute[] = [auto]): LiveTopology {
  const nodes = [
    nodeOf('server-1', 'server', []),
    ...forked(relays),
    nodeOf('web-1', 'tentacle', Object.keys(relays), { lastSeenAt: now }),
  ];
  const own = Object.keys(relays).map((id) => ownLink(id, { roundTripMs: 0.5 }));
  return topologyOf(nodes, { now, own, routes: { 'web-1': routes } });
}

function forked(relays: Readonly<Record<string, State>>): Node[] {
  return Object.entries(relays).map(([id, { roundTripMs, up = true, cpuShare = 0 }]) => {
    const links = [{ peer: 'web-1', peerRole: 'tentacle', relation: 'child', up, roundTripMs, dialledBy: 'us' }];
    return nodeOf(id, 'relay', ['server'], { report: { cpuShare, links }, lastSeenAt: now });
  });
}

const order = (resolver: RouteResolver, machine = 'web-1') =>
  resolver.resolve(machine).paths.map(({ relays }) => relays.join('>'));
const orderOf = (topology: LiveTopology) => order(createRouteResolver(topology));

describe('the paths of auto', () => {
  it('are tried by round trip, whatever order the parents have', () => {
    expect(orderOf(fork({ a: { roundTripMs: 40 }, b: { roundTripMs: 10 } }))).toEqual(['b', 'a']);
    expect(orderOf(fork({ a: { roundTripMs: 10 }, b: { roundTripMs: 40 } }))).toEqual(['a', 'b']);
  });

  it('cost more over a busy relay', () => {
    const busy = fork({ a: { roundTripMs: 10, cpuShare: 0.9 }, b: { roundTripMs: 12 } });
    expect(costMs(['a'], 'web-1', busy)).toBeCloseTo(20.5);
    expect(costMs(['b'], 'web-1', busy)).toBeCloseTo(13.5);
    expect(orderOf(busy)).toEqual(['b', 'a']);
    expect(costMs(['a'], 'web-1', fork({ a: { roundTripMs: 10, cpuShare: 7 } }))).toBeCloseTo(30.5);
  });

  it('come last when a link is down, whatever their cost and whichever was taken last', () => {
    const topology = fork({ a: { roundTripMs: 1 }, b: { roundTripMs: 900 } });
    const resolver = createRouteResolver(topology);
    expect(order(resolver)).toEqual(['a', 'b']);
    topology.apply({ nodes: forked({ a: { roundTripMs: 1, up: false } }), routes: new Map() });
    expect(order(resolver)).toEqual(['b', 'a']);
  });

  it('come last when calls over them got no answer, although their links are up', () => {
    const resolver = createRouteResolver(fork({ a: { roundTripMs: 1 }, b: { roundTripMs: 900 } }));
    const [first] = resolver.resolve('web-1').paths;
    resolver.fell('web-1', first!.relays);
    expect(order(resolver)).toEqual(['b', 'a']);
    expect(resolver.resolve('web-1').paths[1]).toMatchObject({
      state: 'down',
      reason: expect.stringContaining('TUNNEL_SILENT') as string,
    });
  });

  it('stay first once taken, until another costs clearly less', () => {
    const little = { a: { roundTripMs: 14 }, b: { roundTripMs: 10 } };
    expect(orderOf(fork(little))).toEqual(['b', 'a']);
    const topology = fork({ ...little, b: { roundTripMs: 40 } });
    const resolver = createRouteResolver(topology);
    expect(order(resolver)).toEqual(['a', 'b']);
    topology.apply({ nodes: forked(little), routes: new Map() });
    expect(order(resolver)).toEqual(['a', 'b']);
    topology.apply({ nodes: forked({ a: { roundTripMs: 40 } }), routes: new Map() });
    expect(order(resolver)).toEqual(['b', 'a']);
  });

  it('do not alternate while their costs cross', () => {
    const topology = fork({ a: { roundTripMs: 10 }, b: { roundTripMs: 14 } });
    const resolver = createRouteResolver(topology);
    const first = new Set<string>();
    for (let turn = 0; turn < 50; turn += 1) {
      topology.apply({ nodes: forked({ a: { roundTripMs: turn % 2 === 0 ? 10 : 18 } }), routes: new Map() });
      first.add(order(resolver)[0]!);
    }
    expect([...first]).toEqual(['a']);
  });

  it('are listed once each, in their order, after the routes named before them', () => {
    expect(orderOf(fork({ a: { roundTripMs: 10 }, b: { roundTripMs: 40 } }, [path('b'), auto]))).toEqual(['b', 'a']);
  });
});

const mesh = [
  nodeOf('server-1', 'server', []),
  nodeOf('eu', 'relay', ['server']),
  nodeOf('eu-pci', 'relay', ['eu']),
  nodeOf('pci-1', 'tentacle', ['eu-pci']),
];
const eu2 = (up: boolean) =>
  nodeOf('eu-2', 'relay', ['server'], {
    report: { links: [{ peer: 'pci-1', relation: 'child', up, dialledBy: 'peer' }] },
    lastSeenAt: now,
  });
const routes = { 'pci-1': [path('eu', 'eu-pci'), path('eu-2')] };

describe('the paths of a machine', () => {
  it('keep the order of preference', () => {
    const paths = createRouteResolver(topologyOf([...mesh, eu2(true)], { now, routes })).resolve('pci-1').paths;
    expect(paths).toEqual([
      expect.objectContaining({
        ...{ relays: ['eu', 'eu-pci'], state: 'unknown', reason: 'no node has reported a link from server to eu' },
      }),
      expect.objectContaining({ relays: ['eu-2'], state: 'unknown' }),
    ]);
  });

  it('come last when down, and say which link is down and why', () => {
    const own = [ownLink('eu', { up: false, lastErrorCode: 'UNREACHABLE' }), ownLink('eu-2')];
    const { paths } = createRouteResolver(topologyOf([...mesh, eu2(true)], { now, own, routes })).resolve('pci-1');
    expect(paths).toMatchObject([
      { relays: ['eu-2'], state: 'up', reason: null },
      { relays: ['eu', 'eu-pci'], state: 'down', reason: 'the link from server to eu is down (UNREACHABLE)' },
    ]);
  });

  it('say what makes one unusable, and keep it, so that a repaired path is found at once', () => {
    const revoked = mesh.map((node) => (node.id === 'eu' ? { ...node, state: 'revoked' as const } : node));
    const topology = topologyOf(revoked, { now, routes });
    const resolver = createRouteResolver(topology);
    expect(resolver.resolve('pci-1').paths).toMatchObject([
      { relays: ['eu', 'eu-pci'], state: 'unusable', reason: 'relay eu is revoked' },
      { relays: ['eu-2'], state: 'unusable', reason: 'there is no relay eu-2' },
    ]);
    const target = { node: 'pci-1', parents: [{ node: 'eu-pci' }] };
    expect(hasUsablePath(routes['pci-1'], target, topology)).toBe(false);
    topology.apply({ nodes: mesh, routes: new Map() });
    expect(resolver.resolve('pci-1').paths[0]).toMatchObject({ relays: ['eu', 'eu-pci'], state: 'unknown' });
    expect(hasUsablePath(routes['pci-1'], target, topology)).toBe(true);
  });

  it('are none for an unknown machine, and an error once it is revoked', () => {
    const gone = mesh.map((node) => (node.id === 'pci-1' ? { ...node, state: 'revoked' as const } : node));
    const resolver = createRouteResolver(topologyOf(gone, { now, routes }));
    expect(resolver.resolve('nowhere').paths).toEqual([]);
    expect(() => resolver.resolve('pci-1')).toThrow(
      expect.objectContaining({ code: 'MACHINE_REVOKED', hop: 'pci-1' }) as Error,
    );
  });

  it('say that a process on them is denied, when the one before it has not reported since', () => {
    const start = { nonce: 'b', hostname: 'pci-1.example', address: '10.0.0.9', via: 'eu-2', at: now - 10 };
    const cloned = (lastSeenAt: number) =>
      nodeOf('pci-1', 'tentacle', ['eu-pci', 'eu-2'], { deniedStarts: [start], lastSeenAt });
    const own = [ownLink('eu', { up: false }), ownLink('eu-2')];
    const topology = topologyOf([...mesh, eu2(false), cloned(now - 11)], { now, own, routes });
    const resolver = createRouteResolver(topology);
    const reason =
      'the process of pci-1 on pci-1.example (10.0.0.9 via eu-2) is denied, and the one before it reports no more';
    const action = { code: 'REACTIVATE_NODE', arguments: { node: 'pci-1' } };
    const [other, byEu2] = resolver.resolve('pci-1').paths;
    expect(byEu2).toMatchObject({
      ...{ relays: ['eu-2'], state: 'down', reason: `${reason} (NODE_CLONED)` },
      cause: { code: 'NODE_CLONED', message: reason, hop: 'pci-1', action },
    });
    // A path that ends before it is not explained by it.
    expect(other).toMatchObject({ relays: ['eu', 'eu-pci'], reason: 'the link from server to eu is down' });
    expect(other).not.toHaveProperty('cause');
    topology.apply({ nodes: [cloned(now)], routes: new Map() });
    for (const path of resolver.resolve('pci-1').paths) expect(path).not.toHaveProperty('cause');
  });

  it('are those over its parents for a node that is no machine, live ones first', () => {
    const mirror = nodeOf('mirror-eu', 'mirror', ['eu', 'eu-2']);
    const own = [ownLink('eu', { up: false })];
    const topology = topologyOf([...mesh, eu2(true), mirror], { now, own });
    expect(order(createRouteResolver(topology), 'mirror-eu')).toEqual(['eu-2', 'eu']);
    expect(pathsByParents({ parents: [{ node: 'server' }] }, topology)).toMatchObject([{ relays: [], state: 'up' }]);
  });
});

it('in any mesh, the order is up, then unknown, then down, then unusable, and each path is listed once', () => {
  const relay = fc.record({ parents: fc.array(fc.nat(7), { maxLength: 3 }), up: fc.boolean(), revoked: fc.boolean() });
  const route = fc.oneof(
    fc.constant(auto),
    fc.constant<MachineRoute>({ kind: 'direct' }),
    fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }).map((via) => path(...via.map((at) => `r-${at}`))),
  );
  fc.assert(
    fc.property(
      fc.array(relay, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(7), { minLength: 1, maxLength: 4 }),
      fc.array(route, { minLength: 1, maxLength: 5 }),
      (relays, parents, own) => {
        const nodes = relays.map((each, at) =>
          nodeOf(
            `r-${at}`,
            'relay',
            [...each.parents.map((parent) => `r-${parent}`), ...(at === 0 ? ['server'] : [])],
            {
              state: each.revoked ? 'revoked' : 'active',
              report: { links: each.parents.map((peer) => ({ peer: `r-${peer}`, relation: 'parent', up: each.up })) },
              lastSeenAt: now,
            },
          ),
        );
        const machine = nodeOf(
          'web-1',
          'tentacle',
          parents.map((parent) => `r-${parent}`),
        );
        const topology = topologyOf([...nodes, machine], { now, own: [ownLink('r-0')], routes: { 'web-1': own } });
        const { paths } = createRouteResolver(topology).resolve('web-1');
        const ranks = paths.map(({ state }) => ({ up: 0, unknown: 1, down: 2, unusable: 3 })[state]);
        expect(ranks).toEqual(ranks.toSorted());
        expect(new Set(paths.map(({ relays: each }) => each.join())).size).toBe(paths.length);
        for (const { state, reason } of paths) expect(reason === null).toBe(state === 'up');
      },
    ),
  );
});
