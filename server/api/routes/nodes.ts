// Nodes: who is in the mesh, where in the tree, and what they last reported.
import { Type, type Static } from 'typebox';
import type { Node } from '../../store/repositories/nodes.ts';
import { reportedLinks } from '../../topology/topology.ts';
import { change, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { ById, FilteredQuery, mapPage, Nullable, PageOf, pageRequest, Parent, Slug, Timestamp } from '../schemas.ts';

const Role = Type.Enum(['server', 'relay', 'mirror', 'tentacle']);
const State = Type.Enum(['active', 'revoked']);

const View = Type.Object({
  id: Slug,
  role: Role,
  site: Nullable(Slug),
  parents: Type.Array(Parent, { description: 'In order of preference.' }),
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
        const after = await services.revokeNode(tx, request.params.id, actor);
        const node = await tx.nodes.get(request.params.id);
        return { status: 200, body: toView(node), version: node.version, after };
      }),
  );
}

function toView({ report, parents, ...node }: Node): Static<typeof View> {
  return { ...node, parents: parents.map((parent) => ({ ...parent })), links: [...reportedLinks({ report })] };
}
