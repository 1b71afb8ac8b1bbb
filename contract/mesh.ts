// The mesh as the server sees it, and the results of probes along its paths.
import { Type, type Static } from 'typebox';
import { clones, NodeRole, NodeState } from './nodes.ts';
import { Action } from './problem.ts';
import { Closed, ErrorCode, List, Nullable, Slug, Timestamp, Words } from './schema.ts';

const NodeLiveness = Words(['online', 'offline', 'unknown'], {
  $id: 'NodeLiveness',
  description: 'Whether it is linked to the server, directly or through relays. `unknown`: a node above it is offline.',
});
export type NodeLiveness = Static<typeof NodeLiveness>;

const LinkState = Words(['up', 'down', 'unknown'], {
  $id: 'LinkState',
  description: '`unknown`: no node that the server hears reports it.',
});
export type LinkState = Static<typeof LinkState>;

const behind = Nullable(Type.String({ description: 'Of what is unknown: the node above that is not heard.' }));

export const MeshNode = Type.Object(
  {
    id: Slug,
    role: NodeRole,
    site: Nullable(Slug),
    parents: List(Slug),
    state: NodeState,
    live: NodeLiveness,
    behind,
    lastSeenAt: Nullable(Timestamp),
    softwareVersion: Nullable(Type.String()),
    clones,
  },
  { $id: 'MeshNode' },
);
export type MeshNode = Static<typeof MeshNode>;

export const MeshLink = Type.Object(
  {
    from: Slug,
    to: Slug,
    childState: Words(['pending', 'active', 'revoked'], {
      description: 'Of `to`: `pending` while `from` dials it and it has not joined.',
    }),
    state: LinkState,
    behind,
    roundTripMs: Nullable(Type.Number()),
    bytesDown: Type.Integer({ description: 'To the child, since the reporting process started.' }),
    bytesUp: Type.Integer({ description: 'From the child, since the reporting process started.' }),
    dialledBy: Words(['parent', 'child']),
    address: Nullable(Type.String({ description: 'host:port that is dialled; null when unknown.' })),
    lastErrorCode: Nullable(Type.String()),
  },
  { $id: 'MeshLink', description: '`from` is the parent, `to` its child.' },
);
export type MeshLink = Static<typeof MeshLink>;

export const VersionSkew = Type.Object(
  { serverVersion: Type.String(), behind: List(Slug), ahead: List(Slug) },
  { $id: 'VersionSkew', description: 'The active nodes whose version is lower, or higher, than the server’s, by id.' },
);
export type VersionSkew = Static<typeof VersionSkew>;

export const Mesh = Type.Object(
  { nodes: List(MeshNode), links: List(MeshLink), versionSkew: VersionSkew },
  { $id: 'Mesh' },
);
export type Mesh = Static<typeof Mesh>;

export const ProbeError = Type.Object(
  {
    code: ErrorCode,
    detail: Type.String(),
    hop: Type.Optional(Type.String({ description: 'The node at which the error happened.' })),
    remedy: Type.String(),
    action: Type.Optional(Action),
  },
  { $id: 'ProbeError' },
);
export type ProbeError = Static<typeof ProbeError>;

export const Hop = Type.Object(
  {
    node: Slug,
    roundTripMs: Nullable(Type.Number()),
    version: Nullable(Type.String()),
    certificateDays: Nullable(Type.Number()),
    error: Type.Optional(ProbeError),
  },
  { $id: 'Hop' },
);
export type Hop = Static<typeof Hop>;

const path = List(Slug, { description: "The relays to cross, the server's neighbour first." });

const PathState = Words(['up', 'unknown', 'down', 'unusable'], {
  $id: 'PathState',
  description:
    '`unknown`: no node that the server hears reports one of the links. `unusable`: the path cannot work even with all links up.',
});
export type PathState = Static<typeof PathState>;

export const TracedPath = Type.Object(
  {
    path,
    state: PathState,
    cost: Type.Number({
      description: 'Milliseconds that a call over this path is expected to wait. `auto` prefers the least cost.',
    }),
    reason: Nullable(Type.String({ description: 'Why the path is not up; null when it is.' })),
    hops: List(Hop),
  },
  { $id: 'TracedPath', description: 'State, cost and reason are from the route resolver, hops from the trace.' },
);
export type TracedPath = Static<typeof TracedPath>;

export const Trace = Type.Object({ paths: List(TracedPath) }, { $id: 'Trace' });
export type Trace = Static<typeof Trace>;

export const TraceRequest = Closed({ node: Slug }, { $id: 'TraceRequest' });

export const PingedPath = Type.Object(
  { path, roundTripsMs: List(Type.Number()), error: Type.Optional(ProbeError) },
  { $id: 'PingedPath' },
);
export type PingedPath = Static<typeof PingedPath>;

export const Ping = Type.Object({ paths: List(PingedPath) }, { $id: 'Ping' });
export type Ping = Static<typeof Ping>;

export const PingRequest = Closed(
  { machine: Slug, count: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) },
  { $id: 'PingRequest' },
);
