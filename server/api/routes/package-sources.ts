// Package sources, and which of all sources a machine uses for a package.
import { IdempotencyKey, IfMatch, json, noContent } from '../../../contract/http.ts';
import {
  ExplainQuery,
  NewPackageSource,
  PackageSource as PackageSourceView,
  PackageSourcePage,
  SourceExplanation,
  type ExplainedSource as ExplainedSourceView,
} from '../../../contract/package-sources.ts';
import type { PackageStep } from '../../../contract/projects.ts';
import { BySlug, PageQuery } from '../../../contract/schema.ts';
import { IsthmusError } from '../../../contract/errors.ts';
import { nameOf } from '../../../lib/blobs/source.ts';
import { packageIdKey } from '../../../lib/package-versions.ts';
import type { StepSource } from '../../packages/feed.ts';
import { createPackageSource, deletePackageSource } from '../../packages/package-sources.ts';
import type { ExplainedSource } from '../../packages/explain-sources.ts';
import { resolveAt } from '../../projects/resolve.ts';
import { feedOf } from '../../projects/step-feed.ts';
import type { ProcessStep } from '../../store/projects/process.ts';
import type { Machine } from '../../store/inventory/machines.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';

export function packageSourceRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['packages'];

  app.get(
    '/package-sources',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listPackageSources',
        summary: 'List package sources',
        tags,
        querystring: PageQuery,
        response: { 200: json('A page of package sources.', PackageSourcePage) },
      },
    },
    async (request) => mapPage(await store.packageSources.list(pageRequest(request.query)), (source) => source),
  );

  app.get(
    '/package-sources/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getPackageSource',
        summary: 'Show one package source',
        tags,
        params: BySlug,
        response: { 200: json('The package source.', PackageSourceView, 'ETag') },
      },
    },
    async (request, reply) => sendVersioned(reply, await store.packageSources.get(request.params.id)),
  );

  app.post(
    '/package-sources',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'createPackageSource',
        summary: 'Create one package source',
        description: 'It is asked first by the machines, sites and networks for which it is named.',
        tags,
        headers: IdempotencyKey,
        body: NewPackageSource,
        response: { 201: json('The package source was created.', PackageSourceView, 'ETag', 'Location') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const source = await createPackageSource(tx, request.body, actor);
        const location = `/api/v1/package-sources/${source.id}`;
        return { status: 201, body: source, location, version: source.version };
      }),
  );

  app.delete(
    '/package-sources/:id',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'deletePackageSource',
        summary: 'Delete one package source',
        tags,
        params: BySlug,
        headers: IfMatch,
        response: { 204: noContent('The package source is deleted.') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.packageSources.get(request.params.id);
        await deletePackageSource(tx, { id, version: requiredVersion(request) }, actor);
        return { status: 204, body: null };
      }),
  );

  app.get(
    '/machines/:id/package-sources',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'explainPackageSources',
        summary: 'Explain where a machine fetches a package',
        description:
          'Its sources in the order in which a deployment gives them to it. What a step names counts with `project` and ' +
          '`environment`, by the project as it is now.',
        tags: ['machines'],
        params: BySlug,
        querystring: ExplainQuery,
        response: { 200: json('The sources, and why each is one.', SourceExplanation) },
      },
    },
    async ({ params, query }) => explain(context, await store.machines.get(params.id), query),
  );
}

interface Question {
  readonly package: string;
  readonly version?: string | undefined;
  readonly project?: string | undefined;
  readonly environment?: string | undefined;
}

async function explain(context: ApiContext, machine: Machine, question: Question): Promise<SourceExplanation> {
  const { store, services } = context;
  const wanted = await services.findPackage(question.package, question.version);
  const step = await stepSource(context, machine, question);
  const node = await store.nodes.get(machine.id);
  const sources = await services.explainSources(node, wanted, step);
  const { id, version } = wanted;
  return { machine: machine.id, package: id, version, feed: step.feed ?? null, sources: sources.map(toView) };
}

/** What the first step of the project with this package says of its sources on the machine. */
async function stepSource(
  { store, sealer }: ApiContext,
  { id: machine, targetRoles }: Machine,
  { package: wanted, project, environment }: Question,
): Promise<StepSource> {
  if (project === undefined && environment === undefined) return {};
  if (project === undefined || environment === undefined) {
    const field = project === undefined ? 'project' : 'environment';
    throw new IsthmusError('INVALID_FIELD', 'what a step names depends on project and environment', { field });
  }
  await store.environments.get(environment);
  const { process } = await store.projects.get(project);
  const step = process.filter(isPackageStep).find((each) => packageIdKey(each.package.id) === packageIdKey(wanted));
  if (step === undefined) {
    throw new IsthmusError('INVALID_FIELD', `no step of project ${project} installs ${wanted}`, { field: 'project' });
  }
  if (step.feed === undefined) return { push: step.push };
  const variables = await store.variables.all(project);
  const { values } = resolveAt(variables, { environment, machine, targetRoles }, sealer);
  return { feed: feedOf(step, values), push: step.push };
}

function isPackageStep(step: ProcessStep): step is PackageStep {
  return step.kind === 'package';
}

function toView({ source, why, because, bytesPerS, demoted, isUsed }: ExplainedSource): ExplainedSourceView {
  return {
    ...{ source: nameOf(source), kind: source.kind, why, because },
    path: source.kind === 'mesh' ? source.path : [],
    url: source.kind === 'pushed' ? null : (source.url ?? null),
    bytesPerS: bytesPerS ?? null,
    demotedAt: demoted?.atMs ?? null,
    demotedCode: demoted?.code ?? null,
    used: isUsed,
  };
}
