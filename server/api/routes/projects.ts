// Projects and their process.
import { DeleteQuery, Deletion } from '../../../contract/deletions.ts';
import { IdempotencyKey, IfMatch, json } from '../../../contract/http.ts';
import {
  NewProcess,
  NewProject,
  Project as ProjectView,
  ProjectPage,
  ProjectPatch,
} from '../../../contract/projects.ts';
import { BySlug, PageQuery } from '../../../contract/schema.ts';
import { createProject, deleteProject, replaceProcess, updateProject } from '../../projects/projects.ts';
import type { Project } from '../../store/projects/projects.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';

export function projectRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['projects'];

  app.get(
    '/projects',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listProjects',
        summary: 'List projects',
        tags,
        querystring: PageQuery,
        response: { 200: json('A page of projects.', ProjectPage) },
      },
    },
    async (request) => mapPage(await store.projects.list(pageRequest(request.query)), toView),
  );

  app.get(
    '/projects/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getProject',
        summary: 'Show one project',
        tags,
        params: BySlug,
        response: { 200: json('The project.', ProjectView, 'ETag') },
      },
    },
    async (request, reply) => sendVersioned(reply, toView(await store.projects.get(request.params.id))),
  );

  app.post(
    '/projects',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createProject',
        summary: 'Create a project',
        description: 'Without steps the process is empty.',
        tags,
        headers: IdempotencyKey,
        body: NewProject,
        response: { 201: json('The project was created.', ProjectView, 'ETag', 'Location') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const created = await createProject(tx, context.steps, request.body, actor);
        const { id, version } = created;
        return { status: 201, body: toView(created), location: `/api/v1/projects/${id}`, version };
      }),
  );

  app.patch(
    '/projects/:id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'updateProject',
        summary: 'Change one project',
        tags,
        params: BySlug,
        headers: IfMatch,
        body: ProjectPatch,
        response: { 200: json('The changed project.', ProjectView, 'ETag') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.projects.get(request.params.id);
        const changed = await updateProject(tx, { id, version: requiredVersion(request) }, request.body, actor);
        return { status: 200, body: toView(changed), version: changed.version };
      }),
  );

  app.put(
    '/projects/:id/process',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'replaceProcess',
        summary: 'Replace the process of a project',
        description: 'Replaces the whole process. Releases keep the process that they pinned.',
        tags,
        params: BySlug,
        headers: IfMatch,
        body: NewProcess,
        response: { 200: json('The changed project.', ProjectView, 'ETag') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.projects.get(request.params.id);
        const version = requiredVersion(request);
        const changed = await replaceProcess(tx, context.steps, { id, version }, request.body.steps, actor);
        return { status: 200, body: toView(changed), version: changed.version };
      }),
  );

  app.delete(
    '/projects/:id',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'deleteProject',
        summary: 'Delete one project',
        description: 'With its variables. A dry run answers what would go.',
        tags,
        params: BySlug,
        querystring: DeleteQuery,
        headers: IfMatch,
        response: { 200: json('The project is deleted, unless it is a dry run.', Deletion) },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.projects.get(request.params.id);
        const { dryRun } = request.query;
        const body = await deleteProject(tx, { id, version: requiredVersion(request) }, { actor, dryRun });
        return { status: 200, body };
      }),
  );
}

/** The handlers of the step kinds have checked the steps against the schemas of the contract. */
function toView(project: Project): ProjectView {
  return { ...project, process: project.process as ProjectView['process'] };
}
