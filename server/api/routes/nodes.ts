// Nodes: who is in the mesh, where in the tree, and what they last reported.
import { Type, type Static } from 'typebox';
import type { Node } from '../../store/repositories/nodes.ts';
import { reportedParents } from '../../topology/parents.ts';
import { reportedLinks } from '../../topology/topology.ts';
import { MAX_PARENTS } from '../../store/parents.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import {
  Address,
  ById,
  Closed,
  FilteredQuery,
  mapPage,
  Nullable,
  PageOf,
  pageRequest,
  Parent,
  Slug,
  Timestamp,
} from '../schemas.ts';

const Role = Type.Enum(['server', 'relay', 'mirror', 'tentacle']);
const State = Type.Enum(['active', 'revoked']);

const View = Type.Object({
  id: Slug,
  role: Role,
  site: Nullable(Slug),
  parents: Type.Array(Parent, { description: 'In order of preference.' }),
  wishedParents: Nullable(
    Type.Object(
      {
        parents: Type.Array(
          Type.Object({ node: Slug, dialAddress: Nullable(Type.String()), address: Nullable(Type.String()) }),
        ),
        setAt: Timestamp,
        setBy: Type.String(),
        errorCode: Nullable(Type.String()),
      },
      { description: 'Those that it is to go over to; null once it has. `errorCode` says why it has not yet.' },
    ),
  ),
  state: State,
  certificateNotAfter: Nullable(Timestamp),
  softwareVersion: Nullable(Type.String()),
  feedUrl: Nullable(Type.String()),
  lastSeenAt: Nullable(Timestamp),
  revokedAt: Nullable(Timestamp),
  links: Type.Array(Type.Unknown(), { description: 'As the node last reported them.' }),
  version: Type.Integer(),
  createdAt: Timestamp,
});

const Query = FilteredQuery({ role: Type.Optional(Role), site: Type.Optional(Slug), state: Type.Optional(State) });

const ParentsBody = Closed({
  parents: Type.Array(Closed({ node: Slug, dialAddress: Type.Optional(Address), address: Type.Optional(Address) }), {
    minItems: 1,
    maxItems: MAX_PARENTS,
    description:
      'In order of preference. One with a `dialAddress` dials the node there; the node dials every other, at `address` ' +
      'or where it is known to be.',
  }),
});

export function nodeRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  app.get(
    '/nodes',
    {
      config: { policy: 'viewer' },
      schema: { tags: ['nodes'], querystring: Query, response: { 200: PageOf(View) } },
    },
    async (request) => {
      const { role, site, state } = request.query;
      return mapPage(await store.nodes.list({ role, site, state }, pageRequest(request.query)), toView);
    },
  );

  app.get(
    '/nodes/:id',
    { config: { policy: 'viewer' }, schema: { tags: ['nodes'], params: ById, response: { 200: View } } },
    async (request, reply) => sendVersioned(reply, toView(await store.nodes.get(request.params.id))),
  );

  app.put(
    '/nodes/:id/parents',
    {
      config: { policy: 'admin' },
      schema: {
        tags: ['nodes'],
        description:
          'Has a node go over to other parents. It keeps those that it has until one of the new ones carries: see ' +
          '`wishedParents`.',
        params: ById,
        body: ParentsBody,
        response: { 200: View },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.nodes.get(request.params.id);
        const wanted = { version: requiredVersion(request), parents: request.body.parents };
        const node = await services.setParents(tx, id, wanted, actor);
        return { status: 200, body: toView(node), version: node.version };
      }),
  );

  app.post(
    '/nodes/:id/revoke',
    {
      config: { policy: 'admin' },
      schema: {
        tags: ['nodes'],
        description: 'Shuts a node out of the mesh for ever, on live links too. Doing it again changes nothing.',
        params: ById,
        response: { 200: View },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        await services.revokeNode(tx, request.params.id, actor);
        const node = await tx.nodes.get(request.params.id);
        return { status: 200, body: toView(node), version: node.version };
      }),
  );
}

function toView({ report, parents, wish, ...node }: Node): Static<typeof View> {
  const errorCode = reportedParents({ report })?.parentsErrorCode ?? '';
  return {
    ...node,
    parents: parents.map((parent) => ({ ...parent })),
    wishedParents: wish && {
      ...wish,
      parents: wish.parents.map((parent) => ({ ...parent })),
      errorCode: errorCode === '' ? null : errorCode,
    },
    links: [...reportedLinks({ report })],
  };
}
