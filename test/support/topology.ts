// A live topology made by hand: nodes and the server's own links, at one moment.
import type { LinkStatus } from '../../mesh/types.ts';
import type { Node } from '../../server/store/nodes/nodes.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import { LiveTopology } from '../../server/topology/live.ts';

/** A node that only says what matters to the test. */
export function nodeOf(id: string, role: Node['role'], parents: readonly string[], more: Partial<Node> = {}): Node {
  return {
    id,
    role,
    site: 'eu',
    parents: parents.map((parent) => ({ node: parent, dialAddress: null })),
    desired: null,
    address: null,
    state: 'active',
    certificateNotAfter: null,
    softwareVersion: null,
    feedUrl: null,
    report: null,
    lastSeenAt: null,
    revokedAt: null,
    startNonce: null,
    deniedStarts: [],
    reactivatedAt: null,
    journalGeneration: 0,
    version: 1,
    createdAt: 1,
    ...more,
  };
}

/** A link of the server to one of its children, up unless told otherwise. */
export function ownLink(peer: string, more: Partial<LinkStatus> = {}): LinkStatus {
  return {
    peer,
    peerRole: 'relay',
    relation: 'child',
    dialledBy: 'us',
    address: undefined,
    up: true,
    upSinceMs: undefined,
    roundTripMs: undefined,
    linkTimeoutMs: undefined,
    bytesIn: 0,
    bytesOut: 0,
    tunnels: 0,
    lastErrorCode: undefined,
    ...more,
  };
}

interface Given {
  readonly now?: number;
  readonly own?: readonly LinkStatus[];
  readonly routes?: Readonly<Record<string, readonly MachineRoute[]>>;
}

export function topologyOf(
  nodes: readonly Node[],
  { now = Date.now(), own = [], routes = {} }: Given = {},
): LiveTopology {
  const topology = new LiveTopology({ wall: () => now, monotonic: () => now });
  topology.followLinks({ links: () => [...own], onLinksChanged: () => () => undefined });
  topology.apply({ nodes, routes: new Map(Object.entries(routes)) });
  return topology;
}
