// Releases, which pin what is deployed, and deployments, which deploy it.
import { Type, type Static } from 'typebox';
import { submitDeployment } from '../../deployments/deployments.ts';
import { createRelease } from '../../projects/releases.ts';
import type { Release } from '../../store/repositories/releases.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import {
  AnyId,
  ById,
  Closed,
  FilteredQuery,
  mapPage,
  PageOf,
  pageRequest,
  PageQuery,
  Slug,
  Text,
  Timestamp,
} from '../schemas.ts';
import { ProcessStep } from './projects.ts';
import { accepted, AcceptedTask, DeadlineS } from './tasks.ts';

const Version = Type.String({ minLength: 1, maxLength: 100 });

const View = Type.Object({
  id: Type.String(),
  project: Slug,
  version: Version,
  notes: Type.String(),
  process: Type.Array(Type.Unsafe<Release['process'][number]>(ProcessStep)),
  packages: Type.Array(
    Type.Object({
      step: Slug,
      id: Type.String(),
      version: Type.String(),
      sha256: Type.String(),
      sizeBytes: Type.Integer(),
      format: Type.Enum(['tar.gz', 'zip', 'nupkg']),
    }),
  ),
  createdAt: Timestamp,
});

const Deployment = Type.Object({
  id: Type.String(),
  project: Slug,
  release: Type.String(),
  environment: Slug,
  task: Type.String(),
  createdAt: Timestamp,
});

export function releaseRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, sealer, steps } = context;
  const tags = ['releases'];

  app.get(
    '/projects/:id/releases',
    {
      config: { policy: 'viewer' },
      schema: { tags, params: ById, querystring: PageQuery, response: { 200: PageOf(View) } },
    },
    async (request) => {
      const { id } = await store.projects.get(request.params.id);
      return mapPage(await store.releases.list(id, pageRequest(request.query)), toView);
    },
  );

  app.get(
    '/releases/:id',
    { config: { policy: 'viewer' }, schema: { tags, params: Closed({ id: AnyId }), response: { 200: View } } },
    async (request) => toView(await store.releases.get(request.params.id)),
  );

  app.post(
    '/projects/:id/releases',
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        description: 'Pins the process, the variables, and each package by digest: the latest, or the versions named.',
        params: ById,
        body: Closed({
          version: Version,
          notes: Type.Optional(Text),
          packages: Type.Optional(Type.Record(Type.String({ maxLength: 63 }), Version)),
        }),
        response: { 201: View },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.projects.get(request.params.id);
        const release = await createRelease(tx, context.steps, id, request.body, actor);
        return { status: 201, body: toView(release), location: `/api/v1/releases/${release.id}` };
      }),
  );

  app.get(
    '/deployments',
    {
      config: { policy: 'viewer' },
      schema: {
        tags,
        description: 'Newest first.',
        querystring: FilteredQuery({ project: Type.Optional(Slug), environment: Type.Optional(Slug) }),
        response: { 200: PageOf(Deployment) },
      },
    },
    (request) => {
      const { project, environment } = request.query;
      return store.deployments.list({ project, environment }, pageRequest(request.query));
    },
  );

  app.post(
    '/deployments',
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        body: Closed({
          project: Slug,
          release: Version,
          environment: Slug,
          deadlineS: Type.Optional(DeadlineS),
          unreachable: Type.Optional(Type.Enum(['fail', 'skip'])),
        }),
        response: AcceptedTask,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitDeployment(tx, { sealer, steps }, request.body, actor)),
      ),
  );
}

/** Without its variables: some are sealed, and the others are the project's to show. */
function toView({ variables: _variables, process, packages, ...release }: Release): Static<typeof View> {
  return { ...release, process: [...process], packages: [...packages] };
}
