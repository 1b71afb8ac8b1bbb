// Sites and environments.
import { Type, type Static } from 'typebox';
import type { Named } from '../../store/repositories/named.ts';
import { environments } from '../../inventory/environments.ts';
import type { Entries } from '../../inventory/entries.ts';
import { sites } from '../../inventory/sites.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { ById, Closed, Line, mapPage, PageOf, pageRequest, PageQuery, Slug, Text, Timestamp } from '../schemas.ts';

const View = Type.Object({
  id: Slug,
  name: Type.String(),
  description: Type.String(),
  version: Type.Integer(),
  createdAt: Timestamp,
});

export function namedRoutes(app: ApiInstance, context: ApiContext): void {
  resource(app, context, 'site', sites);
  resource(app, context, 'environment', environments);
}

function resource(app: ApiInstance, context: ApiContext, kind: 'site' | 'environment', entries: Entries): void {
  const path = `/${kind}s`;
  const tags = [`${kind}s`];
  const rows = kind === 'site' ? context.store.sites : context.store.environments;

  app.get(
    path,
    { config: { policy: 'viewer' }, schema: { tags, querystring: PageQuery, response: { 200: PageOf(View) } } },
    async (request) => mapPage(await rows.list(pageRequest(request.query)), toView),
  );

  app.get(
    `${path}/:id`,
    { config: { policy: 'viewer' }, schema: { tags, params: ById, response: { 200: View } } },
    async (request, reply) => sendVersioned(reply, toView(await rows.get(request.params.id))),
  );

  app.post(
    path,
    {
      config: { policy: 'admin' },
      schema: {
        tags,
        body: Closed({ id: Slug, name: Type.Optional(Line), description: Type.Optional(Text) }),
        response: { 201: View },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const made = await entries.create(tx, request.body, actor);
        return { status: 201, body: toView(made), location: `/api/v1${path}/${made.id}`, version: made.version };
      }),
  );

  app.patch(
    `${path}/:id`,
    {
      config: { policy: 'admin' },
      schema: {
        tags,
        params: ById,
        body: Closed({ name: Type.Optional(Line), description: Type.Optional(Text) }),
        response: { 200: View },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await (kind === 'site' ? tx.sites : tx.environments).get(request.params.id);
        const version = requiredVersion(request);
        const changed = await entries.update(tx, { id, version }, request.body, actor);
        return { status: 200, body: toView(changed), version: changed.version };
      }),
  );

  app.delete(
    `${path}/:id`,
    { config: { policy: 'admin' }, schema: { tags, params: ById, response: { 204: Type.Null() } } },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await (kind === 'site' ? tx.sites : tx.environments).get(request.params.id);
        await entries.delete(tx, { id, version: requiredVersion(request) }, actor);
        return { status: 204, body: null };
      }),
  );
}

function toView({ id, name, description, version, createdAt }: Named): Static<typeof View> {
  return { id, name, description, version, createdAt };
}
