// Join tokens: made here, shown once, used by `isthmus join`.
import { Type, type Static } from 'typebox';
import { MAX_PARENTS } from '../../store/parents.ts';
import type { JoinToken } from '../../store/repositories/tokens.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import {
  Address,
  AnyId,
  Closed,
  mapPage,
  Nullable,
  PageOf,
  pageRequest,
  PageQuery,
  Parent,
  Route,
  Slug,
  Slugs,
  Timestamp,
} from '../schemas.ts';

const Role = Type.Enum(['relay', 'mirror', 'tentacle']);

const Body = Closed({
  role: Role,
  site: Slug,
  name: Type.Optional(Slug),
  parents: Type.Optional(
    Type.Array(
      Closed({
        node: Slug,
        dialAddress: Type.Optional(Address),
      }),
      {
        minItems: 1,
        maxItems: MAX_PARENTS,
        description: 'In order of preference; the server when not told. One with an address dials the node there.',
      },
    ),
  ),
  environments: Type.Optional(Slugs),
  targetRoles: Type.Optional(Slugs),
  routes: Type.Optional(Type.Array(Route, { minItems: 1, maxItems: 8 })),
  ttlS: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })),
});

const View = Type.Object({
  id: Type.String(),
  role: Role,
  site: Slug,
  name: Nullable(Slug),
  parents: Type.Array(Parent),
  environments: Type.Array(Slug),
  targetRoles: Type.Array(Slug),
  routes: Nullable(Type.Array(Route)),
  expiresAt: Timestamp,
  usedAt: Nullable(Timestamp),
  usedBy: Nullable(Slug),
  createdBy: Type.String(),
  createdAt: Timestamp,
});

const Issued = Type.Object({
  id: Type.String(),
  token: Type.String(),
  pin: Type.String(),
  expiresAt: Timestamp,
  othersOpen: Type.Array(Type.String(), { description: 'Other tokens for this name that may still be used.' }),
  joinCommand: Type.String(),
});

export function tokenRoutes(app: ApiInstance, context: ApiContext): void {
  app.get(
    '/tokens',
    {
      config: { policy: 'admin' },
      schema: { tags: ['tokens'], querystring: PageQuery, response: { 200: PageOf(View) } },
    },
    async (request) => mapPage(await context.store.tokens.list(pageRequest(request.query)), toView),
  );

  app.post(
    '/tokens',
    {
      config: { policy: 'admin' },
      schema: {
        tags: ['tokens'],
        description: 'Makes a single-use join token. `token` and `joinCommand` are shown this once.',
        body: Body,
        response: { 201: Issued },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const issued = await context.services.createToken(tx, request.body, actor);
        return {
          status: 201,
          body: { ...issued, othersOpen: [...issued.othersOpen] },
          location: `/api/v1/tokens/${issued.id}`,
        };
      }),
  );

  app.delete(
    '/tokens/:id',
    {
      config: { policy: 'admin' },
      schema: { tags: ['tokens'], params: Closed({ id: AnyId }), response: { 204: Type.Null() } },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.tokens.get(request.params.id);
        await tx.tokens.delete(id);
        await tx.events.append({ actor, type: 'token.revoked', subject: id, data: {} });
        return { status: 204, body: null };
      }),
  );
}

function toView(token: JoinToken): Static<typeof View> {
  const {
    proofKeySealed: _sealed,
    boundSpkiSha256: _bound,
    boundNode,
    environments,
    targetRoles,
    routes,
    parents,
    ...view
  } = token;
  return {
    ...view,
    parents: parents.map((parent) => ({ ...parent })),
    environments: [...environments],
    targetRoles: [...targetRoles],
    routes: routes?.map(copyRoute) ?? null,
    usedBy: view.usedAt === null ? null : boundNode,
  };
}

/** Routes as the schema's types have them, which know no `readonly`. */
export function copyRoute(route: NonNullable<JoinToken['routes']>[number]): Static<typeof Route> {
  return route.kind === 'path' ? { kind: 'path', via: [...route.via] } : route;
}
