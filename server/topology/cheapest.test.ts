// The order in which the ways of `auto` are tried.
import { describe, expect, it } from 'vitest';
import type { Role } from '../../certs/peer.ts';
import type { Node } from '../store/repositories/nodes.ts';
import { costOf, createCheapestPaths, orderByCost } from './cheapest.ts';
import { buildTopology, type Topology } from './topology.ts';

const now = Date.now();

interface State {
  readonly roundTripMs: number;
  readonly up?: boolean;
  readonly cpuShare?: number;
}

function node(id: string, role: Role, parents: string[], report: object = {}): Node {
  return {
    ...{ id, role, site: 'eu', state: 'active', version: 1, createdAt: 1, lastSeenAt: now, report },
    ...{ wish: null, certificateNotAfter: null, softwareVersion: null, feedUrl: null, revokedAt: null },
    parents: parents.map((parent) => ({ node: parent, dialAddress: null })),
  };
}

/** Two relays below the server, a machine below both; each relay's own line to the server takes no time to speak of. */
function fork(relays: Readonly<Record<string, State>>): Topology {
  const nodes = Object.entries(relays).map(([id, { roundTripMs, up = true, cpuShare = 0 }]) => {
    const dialledBy = 'us';
    const links = [
      { peer: 'server-1', peerRole: 'server', relation: 'parent', up: true, roundTripMs: 0.5, dialledBy },
      { peer: 'web-1', peerRole: 'tentacle', relation: 'child', up, roundTripMs, dialledBy },
    ];
    return node(id, 'relay', ['server'], { cpuShare, links });
  });
  return buildTopology(
    [node('server-1', 'server', []), ...nodes, node('web-1', 'tentacle', Object.keys(relays))],
    undefined,
    now,
  );
}

const paths = [['a'], ['b']];
const order = (topology: Topology, taken?: string[]) =>
  orderByCost(paths, 'web-1', taken, topology).map((path) => path.join());

describe('the ways of auto', () => {
  it('are tried by round trip, whatever the order of the parents', () => {
    expect(order(fork({ a: { roundTripMs: 40 }, b: { roundTripMs: 10 } }))).toEqual(['b', 'a']);
    expect(order(fork({ a: { roundTripMs: 10 }, b: { roundTripMs: 40 } }))).toEqual(['a', 'b']);
  });

  it('cost more over a busy relay', () => {
    const busy = fork({ a: { roundTripMs: 10, cpuShare: 0.9 }, b: { roundTripMs: 12 } });
    expect(costOf(['a'], 'web-1', busy)).toBeCloseTo(20.5);
    expect(costOf(['b'], 'web-1', busy)).toBeCloseTo(13.5);
    expect(order(busy)).toEqual(['b', 'a']);
    expect(costOf(['a'], 'web-1', fork({ a: { roundTripMs: 10, cpuShare: 7 } }))).toBeCloseTo(30.5);
  });

  it('come last when a link is down, whatever they would cost', () => {
    expect(order(fork({ a: { roundTripMs: 1, up: false }, b: { roundTripMs: 900 } }))).toEqual(['b', 'a']);
    expect(order(fork({ a: { roundTripMs: 1, up: false }, b: { roundTripMs: 900 } }), ['a'])).toEqual(['b', 'a']);
  });

  it('that are taken stay so until another is clearly cheaper', () => {
    const little = fork({ a: { roundTripMs: 14 }, b: { roundTripMs: 10 } });
    expect(order(little)).toEqual(['b', 'a']);
    expect(order(little, ['a'])).toEqual(['a', 'b']);
    expect(order(fork({ a: { roundTripMs: 40 }, b: { roundTripMs: 10 } }), ['a'])).toEqual(['b', 'a']);
  });

  it('do not take turns while their costs cross', async () => {
    let topology = fork({ a: { roundTripMs: 10 }, b: { roundTripMs: 14 } });
    let atMs = 0;
    const cheapest = createCheapestPaths(
      () => Promise.resolve(topology),
      () => atMs,
    );
    const taken = new Set<string>();
    for (let turn = 0; turn < 50; turn += 1) {
      atMs += 1_000;
      topology = fork({ a: { roundTripMs: turn % 2 === 0 ? 10 : 18 }, b: { roundTripMs: 14 } });
      taken.add((await cheapest('web-1'))[0]!.join());
    }
    expect([...taken]).toEqual(['a']);
  });
});
