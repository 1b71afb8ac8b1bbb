// Nodes: who is in the mesh, which parents they have, and what they last reported.
import { IdempotencyKey, IfMatch, json } from '../../../contract/http.ts';
import { NewParents, Node as NodeView, NodePage, NodeQuery } from '../../../contract/nodes.ts';
import { BySlug } from '../../../contract/schema.ts';
import type { Node } from '../../store/nodes/nodes.ts';
import { reportedParents } from '../../topology/desired-parents.ts';
import { reportedLinks } from '../../topology/topology.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';

export function nodeRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, services } = context;
  const tags = ['nodes'];

  app.get(
    '/nodes',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listNodes',
        summary: 'List nodes',
        tags,
        querystring: NodeQuery,
        response: { 200: json('A page of nodes.', NodePage) },
      },
    },
    async (request) => {
      const { role, site, state } = request.query;
      return mapPage(await store.nodes.list({ role, site, state }, pageRequest(request.query)), toView);
    },
  );

  app.get(
    '/nodes/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getNode',
        summary: 'Show one node',
        tags,
        params: BySlug,
        response: { 200: json('The node.', NodeView, 'ETag') },
      },
    },
    async (request, reply) => sendVersioned(reply, toView(await store.nodes.get(request.params.id))),
  );

  app.put(
    '/nodes/:id/parents',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'setNodeParents',
        summary: 'Move a node to other parents',
        description: 'The node keeps the parents that it has until a link to one of the new ones works.',
        tags,
        params: BySlug,
        headers: IfMatch,
        body: NewParents,
        response: { 200: json('The node, with the parents that it is to have.', NodeView, 'ETag') },
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
      config: { access: 'admin' },
      schema: {
        operationId: 'revokeNode',
        summary: 'Revoke a node',
        description: 'Shuts it out of the mesh for ever, on live links too. Doing it again changes nothing.',
        tags,
        params: BySlug,
        headers: IdempotencyKey,
        response: { 200: json('The revoked node.', NodeView, 'ETag') },
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

function toView({ report, desired, ...node }: Node): NodeView {
  const errorCode = reportedParents({ report })?.parentsErrorCode ?? '';
  return {
    ...node,
    desiredParents: desired && { ...desired, errorCode: errorCode === '' ? null : errorCode },
    links: reportedLinks({ report }),
  };
}
