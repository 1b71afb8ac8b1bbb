// Releases: each pins what a deployment installs.
import { DeleteQuery, Deletion } from '../../../contract/deletions.ts';
import { IdempotencyKey, json } from '../../../contract/http.ts';
import { ByReleaseVersion, NewRelease, Release as ReleaseView, ReleasePage } from '../../../contract/releases.ts';
import { ById, BySlug, PageQuery } from '../../../contract/schema.ts';
import { IsthmusError } from '../../../contract/errors.ts';
import { versionKey } from '../../../lib/package-versions.ts';
import { createRelease, deleteRelease } from '../../projects/releases.ts';
import type { Release } from '../../store/projects/releases.ts';
import type { Store } from '../../store/store.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';

export function releaseRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['releases'];

  app.get(
    '/projects/:id/releases',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listReleases',
        summary: 'List the releases of a project',
        tags,
        params: BySlug,
        querystring: PageQuery,
        response: { 200: json('A page of releases.', ReleasePage) },
      },
    },
    async (request) => {
      const { id } = await store.projects.get(request.params.id);
      return mapPage(await store.releases.list(id, pageRequest(request.query)), toView);
    },
  );

  app.get(
    '/projects/:id/releases/:version',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getProjectRelease',
        summary: 'Show a release of a project by its version',
        description: 'In any spelling of the version.',
        tags,
        params: ByReleaseVersion,
        response: { 200: json('The release.', ReleaseView) },
      },
    },
    async ({ params }) => toView(await findRelease(store, params)),
  );

  app.get(
    '/releases/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getRelease',
        summary: 'Show one release',
        tags,
        params: ById,
        response: { 200: json('The release.', ReleaseView) },
      },
    },
    async (request) => toView(await store.releases.get(request.params.id)),
  );

  app.post(
    '/projects/:id/releases',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createRelease',
        summary: 'Create a release',
        description: 'Pins the process, the variables, and each package by digest: the latest, or the versions named.',
        tags,
        params: BySlug,
        headers: IdempotencyKey,
        body: NewRelease,
        response: { 201: json('The release was created.', ReleaseView, 'Location') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.projects.get(request.params.id);
        const release = await createRelease(tx, context.steps, id, request.body, actor);
        return { status: 201, body: toView(release), location: `/api/v1/releases/${release.id}` };
      }),
  );

  app.delete(
    '/releases/:id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'deleteRelease',
        summary: 'Delete one release',
        description: 'Past deployments keep its id and version. A dry run answers what would go.',
        tags,
        params: ById,
        querystring: DeleteQuery,
        response: { 200: json('The release is deleted, unless it is a dry run.', Deletion) },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const body = await deleteRelease(tx, request.params.id, { actor, dryRun: request.query.dryRun });
        return { status: 200, body };
      }),
  );
}

/** Leaves out the variables: some are sealed, and the project shows the others. */
/** The release of a project by its version, in any spelling. NOT_FOUND. */
export async function findRelease(
  store: Pick<Store, 'projects' | 'releases'>,
  params: { readonly id: string; readonly version: string },
): Promise<Release> {
  const { id } = await store.projects.get(params.id);
  const release = await store.releases.findVersion(id, versionKey(params.version));
  if (release !== undefined) return release;
  throw new IsthmusError('NOT_FOUND', `project ${id} has no release ${params.version}`, {
    action: { code: 'CHOOSE_OR_CREATE_RELEASE', arguments: { project: id, version: params.version } },
  });
}

function toView({ variables: _variables, versionKey: _versionKey, process, ...release }: Release): ReleaseView {
  return { ...release, process: process as ReleaseView['process'] };
}
