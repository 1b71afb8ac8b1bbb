// Sites and environments.
import { IdempotencyKey, IfMatch, json, noContent } from '../../../contract/http.ts';
import { BySlug, PageQuery } from '../../../contract/schema.ts';
import {
  Environment,
  EnvironmentPage,
  EnvironmentPatch,
  NewEnvironment,
  NewSite,
  Site,
  SitePage,
  SitePatch,
} from '../../../contract/sites.ts';
import type { SiteOrEnvironment } from '../../store/inventory/sites-and-environments.ts';
import { environments } from '../../inventory/environments.ts';
import { sites } from '../../inventory/sites.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';

const SITES = {
  kind: 'site',
  entries: sites,
  noun: 'Site',
  shown: Site,
  page: SitePage,
  created: NewSite,
  patch: SitePatch,
} as const;

const ENVIRONMENTS = {
  kind: 'environment',
  entries: environments,
  noun: 'Environment',
  shown: Environment,
  page: EnvironmentPage,
  created: NewEnvironment,
  patch: EnvironmentPatch,
} as const;

export function siteRoutes(app: ApiInstance, context: ApiContext): void {
  resource(app, context, SITES);
  resource(app, context, ENVIRONMENTS);
}

function resource(
  app: ApiInstance,
  context: ApiContext,
  { kind, entries, noun, shown, page, created, patch }: typeof SITES | typeof ENVIRONMENTS,
): void {
  const path = `/${kind}s`;
  const tags = [`${kind}s`];
  const rows = kind === 'site' ? context.store.sites : context.store.environments;

  app.get(
    path,
    {
      config: { access: 'viewer' },
      schema: {
        operationId: `list${noun}s`,
        summary: `List ${kind}s`,
        tags,
        querystring: PageQuery,
        response: { 200: json(`A page of ${kind}s.`, page) },
      },
    },
    async (request) => mapPage(await rows.list(pageRequest(request.query)), toView),
  );

  app.get(
    `${path}/:id`,
    {
      config: { access: 'viewer' },
      schema: {
        operationId: `get${noun}`,
        summary: `Show one ${kind}`,
        tags,
        params: BySlug,
        response: { 200: json(`The ${kind}.`, shown, 'ETag') },
      },
    },
    async (request, reply) => sendVersioned(reply, toView(await rows.get(request.params.id))),
  );

  app.post(
    path,
    {
      config: { access: 'admin' },
      schema: {
        operationId: `create${noun}`,
        summary: `Create one ${kind}`,
        tags,
        headers: IdempotencyKey,
        body: created,
        response: { 201: json(`The ${kind} was created.`, shown, 'ETag', 'Location') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const entry = await entries.create(tx, request.body, actor);
        return { status: 201, body: toView(entry), location: `/api/v1${path}/${entry.id}`, version: entry.version };
      }),
  );

  app.patch(
    `${path}/:id`,
    {
      config: { access: 'admin' },
      schema: {
        operationId: `update${noun}`,
        summary: `Change one ${kind}`,
        tags,
        params: BySlug,
        headers: IfMatch,
        body: patch,
        response: { 200: json(`The changed ${kind}.`, shown, 'ETag') },
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
    {
      config: { access: 'admin' },
      schema: {
        operationId: `delete${noun}`,
        summary: `Delete one ${kind}`,
        description: '409 `IN_USE` while something refers to it.',
        tags,
        params: BySlug,
        headers: IfMatch,
        response: { 204: noContent(`The ${kind} is deleted.`) },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await (kind === 'site' ? tx.sites : tx.environments).get(request.params.id);
        await entries.delete(tx, { id, version: requiredVersion(request) }, actor);
        return { status: 204, body: null };
      }),
  );
}

function toView({ id, name, description, version, createdAt }: SiteOrEnvironment): Site {
  return { id, name, description, version, createdAt };
}
