// Who am I, API keys, and the audit events.
import { Type } from 'typebox';
import { createApiKey, revokeApiKey } from '../../access/api-keys.ts';
import { listAudit } from '../../events/audit.ts';
import type { ApiKey } from '../../store/repositories/api-keys.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { principalOf } from '../policy.ts';
import { AnyId, Closed, Line, mapPage, Nullable, PageOf, pageRequest, PageQuery, Timestamp } from '../schemas.ts';

const Role = Type.Enum(['admin', 'operator', 'viewer']);

const KeyView = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: Role,
  createdAt: Timestamp,
  expiresAt: Nullable(Timestamp),
  revokedAt: Nullable(Timestamp),
});

const EventView = Type.Object({
  seq: Type.Integer(),
  at: Timestamp,
  actor: Type.String(),
  type: Type.String(),
  subjectKind: Type.String(),
  subject: Type.String(),
  data: Type.Record(Type.String(), Type.Unknown()),
});

const EventQuery = Closed({
  denied: Type.Optional(Type.Boolean()),
  after: Type.Optional(Type.Integer({ minimum: 0 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
  type: Type.Optional(Line),
  subject: Type.Optional(Line),
});

export function accessRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  app.get(
    '/whoami',
    {
      config: { policy: 'viewer' },
      schema: {
        tags: ['access'],
        response: { 200: Type.Object({ key: Type.String(), role: Role, mesh: Type.String(), node: Type.String() }) },
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
      config: { policy: 'operator' },
      schema: { tags: ['access'], querystring: PageQuery, response: { 200: PageOf(KeyView) } },
    },
    async (request) => mapPage(await store.apiKeys.list(pageRequest(request.query)), toView),
  );

  app.post(
    '/api-keys',
    {
      config: { policy: 'operator' },
      schema: {
        tags: ['access'],
        description:
          'Makes a key, no broader and no longer lived than the one it is made with. `key` is shown this once.',
        body: Closed({ name: Line, role: Role, expiresAt: Type.Optional(Timestamp) }),
        response: { 201: Type.Intersect([KeyView, Type.Object({ key: Type.String() })]) },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { role } = principalOf(request);
        const { record, key } = await createApiKey(tx, request.body, { actor, role });
        return { status: 201, body: { ...toView(record), key }, location: `/api/v1/api-keys/${record.id}` };
      }),
  );

  app.delete(
    '/api-keys/:id',
    {
      config: { policy: 'operator' },
      schema: {
        tags: ['access'],
        description: 'Revokes a key at once. Doing it again changes nothing.',
        params: Closed({ id: AnyId }),
        response: { 204: Type.Null() },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        await revokeApiKey(tx, request.params.id, { actor, role: principalOf(request).role });
        return { status: 204, body: null };
      }),
  );

  app.get(
    '/events',
    {
      config: { policy: 'viewer' },
      schema: {
        tags: ['access'],
        description:
          'Every change, oldest first, after number `after`; `next` is the next `after`. With `denied` what was denied instead, in the same form: the latest, under numbers of their own.',
        querystring: EventQuery,
        response: { 200: PageOf(EventView) },
      },
    },
    (request) => listAudit(store, { limit: 100, ...request.query }),
  );
}

function toView({ hash: _hash, ...view }: ApiKey): Omit<ApiKey, 'hash'> {
  return view;
}
