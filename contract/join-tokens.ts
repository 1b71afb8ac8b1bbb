// Join tokens: each lets one node join the mesh, once.
import { Type, type Static } from 'typebox';
import { MachineRoute } from './machines.ts';
import { MAX_PARENTS, Parent } from './nodes.ts';
import { Closed, HostPort, List, Nullable, PageOf, Slug, Slugs, Timestamp, Words } from './schema.ts';

export const JOIN_ROLES = ['relay', 'mirror', 'tentacle'] as const;
const JoinRole = Words(JOIN_ROLES, { $id: 'JoinRole' });
export type JoinRole = Static<typeof JoinRole>;

const JoinParent = Closed({ node: Slug, dialAddress: Type.Optional(HostPort) }, { $id: 'JoinParent' });

export const NewJoinToken = Closed(
  {
    role: JoinRole,
    site: Slug,
    name: Type.Optional(Slug),
    parents: Type.Optional(
      List(JoinParent, {
        minItems: 1,
        maxItems: MAX_PARENTS,
        description:
          'In order of preference; the server when absent. A parent with a `dialAddress` dials the node there.',
      }),
    ),
    address: Type.Optional(HostPort),
    environments: Type.Optional(Slugs),
    targetRoles: Type.Optional(Slugs),
    routes: Type.Optional(List(MachineRoute, { minItems: 1, maxItems: 8 })),
    ttlS: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })),
  },
  { $id: 'NewJoinToken' },
);
export type NewJoinToken = Static<typeof NewJoinToken>;

export const JoinToken = Type.Object(
  {
    id: Type.String(),
    role: JoinRole,
    site: Slug,
    name: Nullable(Slug),
    parents: List(Parent),
    address: Nullable(Type.String({ description: 'What the children of a relay dial, as host:port.' })),
    environments: List(Slug),
    targetRoles: List(Slug),
    routes: Nullable(List(MachineRoute)),
    expiresAt: Timestamp,
    usedAt: Nullable(Timestamp),
    usedBy: Nullable(Slug),
    createdBy: Type.String(),
    createdAt: Timestamp,
  },
  { $id: 'JoinToken' },
);
export type JoinToken = Static<typeof JoinToken>;

export const JoinTokenPage = PageOf(JoinToken, 'JoinTokenPage');

export const CreatedJoinToken = Type.Object(
  {
    id: Type.String(),
    token: Type.String({ description: 'The token itself. It is shown only in this answer.' }),
    pin: Type.String({ description: "SHA-256 of the authority's certificate." }),
    expiresAt: Timestamp,
    othersOpen: List(Type.String(), { description: 'Other tokens for this name that can still be used.' }),
    joinCommand: Type.String({
      description: 'Makes the joining machine run the node as a service. It reads the token from its standard input.',
    }),
  },
  { $id: 'CreatedJoinToken' },
);
export type CreatedJoinToken = Static<typeof CreatedJoinToken>;
