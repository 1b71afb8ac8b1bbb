// Nodes of the mesh, with their present and desired parents.
import { Type, type Static } from 'typebox';
import { Closed, HostPort, List, ListQuery, Nullable, PageOf, Slug, Timestamp, Version, Words } from './schema.ts';

/** How many parents a node may have: two allow for the failure of one, more are useful with more than two sites. */
export const MAX_PARENTS = 4;

export const NODE_ROLES = ['server', 'relay', 'mirror', 'tentacle'] as const;
export const NodeRole = Words(NODE_ROLES, { $id: 'NodeRole' });
export type NodeRole = Static<typeof NodeRole>;

export const NodeState = Words(['active', 'revoked'], { $id: 'NodeState' });
export type NodeState = Static<typeof NodeState>;

export const Parent = Type.Object(
  {
    node: Slug,
    dialAddress: Nullable(
      Type.String({ description: 'host:port at which this parent dials the node; null when the node dials it.' }),
    ),
  },
  { $id: 'Parent' },
);
export type Parent = Static<typeof Parent>;

export const DesiredParent = Type.Object(
  {
    ...Parent.properties,
    address: Nullable(
      Type.String({ description: 'host:port at which the node dials it; null when it dials the node.' }),
    ),
  },
  { $id: 'DesiredParent' },
);
export type DesiredParent = Static<typeof DesiredParent>;

export const DesiredParents = Type.Object(
  {
    parents: List(DesiredParent),
    setAt: Timestamp,
    setBy: Type.String(),
    errorCode: Nullable(Type.String({ description: 'Why the node has not moved yet, as it last reported.' })),
  },
  { $id: 'DesiredParents' },
);
export type DesiredParents = Static<typeof DesiredParents>;

export const NodeClone = Type.Object(
  {
    hostname: Type.String(),
    address: Nullable(Type.String({ description: 'Where it came from; null when no node has told.' })),
    via: Slug,
    at: Timestamp,
  },
  { $id: 'NodeClone', description: 'A process of this node that was denied, because another one acts as the node.' },
);
export type NodeClone = Static<typeof NodeClone>;

export const clones = List(NodeClone, { description: 'The latest first, at most 8.' });

export const Reactivation = Closed(
  {
    hostname: Type.Optional(Type.String({ maxLength: 255, description: 'Of the process to let in.' })),
    address: Type.Optional(
      Type.String({ maxLength: 255, description: 'Where it came from: copied machines often share their hostname.' }),
    ),
  },
  { $id: 'Reactivation' },
);
export type Reactivation = Static<typeof Reactivation>;

/** Whether a denied process is one that may be let in. */
export function isChosen(
  denied: Pick<NodeClone, 'hostname' | 'address'>,
  { hostname, address }: Reactivation,
): boolean {
  return (
    (hostname === undefined || denied.hostname === hostname) && (address === undefined || denied.address === address)
  );
}

export const Node = Type.Object(
  {
    id: Slug,
    role: NodeRole,
    site: Nullable(Slug),
    parents: List(Parent, { description: 'In order of preference.' }),
    desiredParents: Nullable(DesiredParents),
    address: Nullable(Type.String({ description: 'host:port at which the children of a relay dial it, if known.' })),
    state: NodeState,
    certificateNotAfter: Nullable(Timestamp),
    softwareVersion: Nullable(Type.String()),
    feedUrl: Nullable(Type.String()),
    lastSeenAt: Nullable(Timestamp),
    revokedAt: Nullable(Timestamp),
    clones,
    reactivatedAt: Nullable(Timestamp),
    links: List(Type.Unknown(), { description: 'As the node last reported them.' }),
    version: Version,
    createdAt: Timestamp,
  },
  { $id: 'Node' },
);
export type Node = Static<typeof Node>;

export const NodePage = PageOf(Node, 'NodePage');

export const NodeQuery = ListQuery({
  role: Type.Optional(NodeRole),
  site: Type.Optional(Slug),
  state: Type.Optional(NodeState),
});

const NewParent = Closed(
  { node: Slug, dialAddress: Type.Optional(HostPort), address: Type.Optional(HostPort) },
  { $id: 'NewParent' },
);

export const NewParents = Closed(
  {
    parents: List(NewParent, {
      minItems: 1,
      maxItems: MAX_PARENTS,
      description:
        'In order of preference. A parent with a `dialAddress` dials the node there; the node dials every other ' +
        "parent, at `address` or at the parent's known address.",
    }),
  },
  { $id: 'NewParents' },
);
export type NewParents = Static<typeof NewParents>;
