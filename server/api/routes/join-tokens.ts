// Join tokens: created here, shown once, used by `isthmus join`.
import { IdempotencyKey, json, noContent } from '../../../contract/http.ts';
import {
  CreatedJoinToken,
  JoinTokenPage,
  NewJoinToken,
  type JoinToken as View,
} from '../../../contract/join-tokens.ts';
import { ById, PageQuery } from '../../../contract/schema.ts';
import type { JoinToken } from '../../store/nodes/tokens.ts';
import { revokeToken } from '../../enrolment/tokens.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';

export function joinTokenRoutes(app: ApiInstance, context: ApiContext): void {
  const tags = ['tokens'];

  app.get(
    '/tokens',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'listJoinTokens',
        summary: 'List join tokens',
        description: 'Newest first.',
        tags,
        querystring: PageQuery,
        response: { 200: json('A page of join tokens, without their secrets.', JoinTokenPage) },
      },
    },
    async (request) => mapPage(await context.store.tokens.list(pageRequest(request.query)), toView),
  );

  app.post(
    '/tokens',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'createJoinToken',
        summary: 'Create a join token',
        description: 'Single use. `token` and `joinCommand` are shown only once.',
        tags,
        headers: IdempotencyKey,
        body: NewJoinToken,
        response: { 201: json('The token was created.', CreatedJoinToken, 'Location') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const issued = await context.services.createToken(tx, request.body, actor);
        return { status: 201, body: issued, location: `/api/v1/tokens/${issued.id}` };
      }),
  );

  app.delete(
    '/tokens/:id',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'revokeJoinToken',
        summary: 'Revoke a join token',
        tags,
        params: ById,
        response: { 204: noContent('The token is revoked.') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        await revokeToken(tx, request.params.id, actor);
        return { status: 204, body: null };
      }),
  );
}

function toView(token: JoinToken): View {
  const { proofKeySealed: _sealed, boundSpkiSha256: _bound, boundNode, ...view } = token;
  return { ...view, usedBy: view.usedAt === null ? null : boundNode };
}
