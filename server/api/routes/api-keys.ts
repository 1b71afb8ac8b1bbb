// Who the caller is, and API keys.
import { ApiKeyPage, CreatedApiKey, NewApiKey, Whoami } from '../../../contract/api-keys.ts';
import { IdempotencyKey, json, noContent } from '../../../contract/http.ts';
import { ById, PageQuery } from '../../../contract/schema.ts';
import { createApiKey, revokeApiKey, toApiKeyView } from '../../access/api-keys.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';
import { principalOf } from '../route-access.ts';

export function apiKeyRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['access'];

  app.get(
    '/whoami',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'whoami',
        summary: 'Show who the caller is',
        tags,
        response: { 200: json('The key, its role, the mesh and the server.', Whoami) },
      },
    },
    (request) => {
      const { keyId, role } = principalOf(request);
      return { key: keyId, role, mesh: context.meshId, node: context.nodeId };
    },
  );

  app.get(
    '/api-keys',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'listApiKeys',
        summary: 'List API keys',
        tags,
        querystring: PageQuery,
        response: { 200: json('A page of API keys.', ApiKeyPage) },
      },
    },
    async (request) => mapPage(await store.apiKeys.list(pageRequest(request.query)), toApiKeyView),
  );

  app.post(
    '/api-keys',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createApiKey',
        summary: 'Create an API key',
        description:
          'The key has no higher role than the one that creates it and expires no later. `key` is shown only once.',
        tags,
        headers: IdempotencyKey,
        body: NewApiKey,
        response: { 201: json('The key was created.', CreatedApiKey, 'Location') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { role } = principalOf(request);
        const { record, key } = await createApiKey(tx, request.body, { actor, role });
        return { status: 201, body: { ...toApiKeyView(record), key }, location: `/api/v1/api-keys/${record.id}` };
      }),
  );

  app.delete(
    '/api-keys/:id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'revokeApiKey',
        summary: 'Revoke an API key',
        description:
          'Takes effect at once. Repeating it changes nothing. The admin key that lasts longest stays: 409 `LAST_ADMIN`.',
        tags,
        params: ById,
        response: { 204: noContent('The key is revoked.') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        await revokeApiKey(tx, request.params.id, { actor, role: principalOf(request).role });
        return { status: 204, body: null };
      }),
  );
}
