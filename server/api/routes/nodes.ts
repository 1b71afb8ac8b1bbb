// Nodes of the mesh: list, show, set desired parents, reactivate, revoke.
import { IdempotencyKey, IfMatch, json } from '../../../contract/http.ts';
import { NewParents, Node as NodeView, NodePage, NodeQuery, Reactivation } from '../../../contract/nodes.ts';
import { BySlug } from '../../../contract/schema.ts';
import type { Node } from '../../store/nodes/nodes.ts';
import { reportedParents } from '../../topology/desired-parents.ts';
import { reportedLinks } from '../../topology/topology.ts';
import { clonesView } from '../clone-view.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { checkedPage } from '../filters.ts';
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
      const page = await store.nodes.list({ role, site, state }, pageRequest(request.query));
      return mapPage(await checkedPage(store, page, { site }), toView);
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
        description:
          'Sets the desired parents. The node keeps its present parents until it has a working link to one of the ' +
          'desired ones.',
        tags,
        params: BySlug,
        headers: IfMatch,
        body: NewParents,
        response: { 200: json('The node with its desired parents.', NodeView, 'ETag') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.nodes.get(request.params.id);
        const desired = { version: requiredVersion(request), parents: request.body.parents };
        const node = await services.setParents(tx, id, desired, actor);
        return { status: 200, body: toView(node), version: node.version };
      }),
  );

  app.post(
    '/nodes/:id/reactivate',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'reactivateNode',
        summary: 'Let a denied process of a node in',
        description:
          'For a machine that was restored from a snapshot, or a data folder that was moved: the process that was ' +
          'denied becomes the node, and the one before is shut out at once. Scripts that were sent to that one and ' +
          'have not ended are interrupted. Of several denied processes the latest one is taken, of `hostname` ' +
          'and `address` if they are given.',
        tags,
        params: BySlug,
        headers: IdempotencyKey,
        body: Reactivation,
        response: { 200: json('The node.', NodeView, 'ETag') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        await services.reactivateNode(tx, request.params.id, request.body, actor);
        const node = await tx.nodes.get(request.params.id);
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
        description:
          'Excludes it from the mesh at once, on live links too. Its name can join again only with a new token for ' +
          'that name. Repeating it changes nothing.',
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

function toView({ report, desired, startNonce: _, journalGeneration: __, deniedStarts, ...node }: Node): NodeView {
  const errorCode = reportedParents({ report })?.parentsErrorCode ?? '';
  return {
    ...node,
    desiredParents: desired && { ...desired, errorCode: errorCode === '' ? null : errorCode },
    clones: clonesView({ deniedStarts }),
    links: reportedLinks({ report }),
  };
}
