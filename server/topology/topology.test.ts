// Whose word counts of a link: the parent's, the child's, and what each last said.
import { describe, expect, it } from 'vitest';
import type { LinkStatus } from '../../mesh/types.ts';
import type { Node } from '../store/repositories/nodes.ts';
import { buildTopology, linkBetween } from './topology.ts';

const now = 1_000_000;

function node(id: string, role: Node['role'], agoMs: number, links: object[]): Node {
  return {
    ...{ id, role, site: 'eu', parents: [], wish: null, state: 'active', certificateNotAfter: null },
    ...{ softwareVersion: null, feedUrl: null, revokedAt: null, version: 1, createdAt: 1 },
    report: { links },
    lastSeenAt: now - agoMs,
  };
}

const toParent = (peer: string, up = true) => ({ peer, relation: 'parent', up, dialledBy: 'us', roundTripMs: 3 });
const toChild = (peer: string, up = true) => ({ peer, relation: 'child', up, dialledBy: 'peer', roundTripMs: 2 });
const child = (agoMs: number, up = true) => node('web-1', 'tentacle', agoMs, [toParent('eu', up)]);
const relay = (agoMs: number, links: object[]) => node('eu', 'relay', agoMs, links);

function link(nodes: readonly Node[], own?: readonly LinkStatus[], from = 'eu', to = 'web-1') {
  return linkBetween(buildTopology(nodes, own, now), from, to);
}

describe('a link', () => {
  it('is what its parent says', () => {
    expect(link([relay(1_000, [toChild('web-1')]), child(2_000)])).toMatchObject({ up: true, roundTripMs: 2 });
    expect(link([relay(1_000, [toChild('web-1', false)]), child(2_000)])).toMatchObject({ up: false });
  });

  it('is down when its child says so now, and its parent may be dead', () => {
    expect(link([relay(4_000, [toChild('web-1')]), child(1_000, false)])).toMatchObject({
      up: false,
      roundTripMs: null,
    });
  });

  it('is what its child says while its parent has not reported since', () => {
    expect(link([relay(4_000, []), child(1_000)])).toMatchObject({ up: true, roundTripMs: 3 });
    expect(link([child(1_000)])).toMatchObject({ up: true });
  });

  it('is down when its parent has reported since and knows of no such link: it was started anew', () => {
    expect(link([relay(1_000, []), child(4_000)])).toMatchObject({ up: false, roundTripMs: null });
  });

  it('to the server is up only when this server has it, whatever the child said to the one before', () => {
    const eu = node('eu', 'relay', 1_000, [toParent('server')]);
    expect(link([eu], [], 'server', 'eu')).toMatchObject({ up: false });
    // Where the server's own links are not at hand, the child's word is all there is.
    expect(link([eu], undefined, 'server', 'eu')).toMatchObject({ up: true });
  });
});
