// Projects: their process and their variables. A sensitive value goes in and never comes out.
import { Type, type Static } from 'typebox';
import { createProject, deleteProject, replaceProcess, updateProject } from '../../projects/projects.ts';
import { createVariable, deleteVariable, updateVariable, variableView } from '../../projects/variables.ts';
import type { Project } from '../../store/repositories/projects.ts';
import type { Variable } from '../../store/repositories/variables.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import {
  AnyId,
  ById,
  Closed,
  Line,
  mapPage,
  Nullable,
  PageOf,
  pageRequest,
  PageQuery,
  Slug,
  Slugs,
  Text,
  Timestamp,
} from '../schemas.ts';

const Script = Type.Object({ interpreter: Type.String(), body: Type.String() });
const step = { name: Slug, targetRoles: Type.Array(Slug), timeLimitS: Type.Optional(Type.Integer()) };

/** A step as it is stored and shown. */
export const ProcessStep = Type.Union([
  Type.Object({ ...step, kind: Type.Literal('script'), script: Script }),
  Type.Object({
    ...step,
    kind: Type.Literal('package'),
    package: Type.Object({ id: Type.String() }),
    preDeploy: Type.Optional(Script),
    postDeploy: Type.Optional(Script),
    substituteIn: Type.Optional(Type.Array(Type.String())),
  }),
]);

/** Steps as they are sent. Only their outline is checked here: the process is checked where it is understood. */
const SentSteps = Type.Array(Type.Object({ name: Slug, kind: Type.Enum(['script', 'package']) }), { maxItems: 100 });

const View = Type.Object({
  id: Slug,
  name: Type.String(),
  description: Type.String(),
  process: Type.Array(Type.Unsafe<Project['process'][number]>(ProcessStep)),
  version: Type.Integer(),
  createdAt: Timestamp,
});

export function projectRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['projects'];

  app.get(
    '/projects',
    { config: { policy: 'viewer' }, schema: { tags, querystring: PageQuery, response: { 200: PageOf(View) } } },
    async (request) => mapPage(await store.projects.list(pageRequest(request.query)), toView),
  );

  app.get(
    '/projects/:id',
    { config: { policy: 'viewer' }, schema: { tags, params: ById, response: { 200: View } } },
    async (request, reply) => sendVersioned(reply, toView(await store.projects.get(request.params.id))),
  );

  app.post(
    '/projects',
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        description: 'Without steps the process is empty.',
        body: Closed({
          id: Slug,
          name: Type.Optional(Line),
          description: Type.Optional(Text),
          steps: Type.Optional(SentSteps),
        }),
        response: { 201: View },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const made = await createProject(tx, context.steps, request.body, actor);
        return { status: 201, body: toView(made), location: `/api/v1/projects/${made.id}`, version: made.version };
      }),
  );

  app.patch(
    '/projects/:id',
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        params: ById,
        body: Closed({ name: Type.Optional(Line), description: Type.Optional(Text) }),
        response: { 200: View },
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
      config: { policy: 'operator' },
      schema: {
        tags,
        description: 'Replaces the whole process. Releases keep the one they were made with.',
        params: ById,
        body: Closed({ steps: SentSteps }),
        response: { 200: View },
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
    { config: { policy: 'operator' }, schema: { tags, params: ById, response: { 204: Type.Null() } } },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.projects.get(request.params.id);
        await deleteProject(tx, { id, version: requiredVersion(request) }, actor);
        return { status: 204, body: null };
      }),
  );

  variableRoutes(app, context);
}

const scope = {
  environments: Type.Optional(Slugs),
  machines: Type.Optional(Slugs),
  targetRoles: Type.Optional(Slugs),
};
const VariableName = Type.String({ minLength: 1, maxLength: 200 });
const VariableValue = Type.String({ maxLength: 256 * 1024 });

const VariableView = Type.Object({
  id: Type.String(),
  project: Slug,
  name: Type.String(),
  value: Nullable(Type.String()),
  sensitive: Type.Boolean(),
  environments: Type.Array(Slug),
  machines: Type.Array(Slug),
  targetRoles: Type.Array(Slug),
  version: Type.Integer(),
  createdAt: Timestamp,
});

const VariableRef = Closed({ id: Slug, variable: AnyId });

function variableRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, sealer } = context;
  const tags = ['variables'];
  const path = '/projects/:id/variables';

  app.get(
    path,
    {
      config: { policy: 'viewer' },
      schema: { tags, params: ById, querystring: PageQuery, response: { 200: PageOf(VariableView) } },
    },
    async (request) => {
      const { id } = await store.projects.get(request.params.id);
      return mapPage(await store.variables.list(id, pageRequest(request.query)), toVariableView);
    },
  );

  app.get(
    `${path}/:variable`,
    { config: { policy: 'viewer' }, schema: { tags, params: VariableRef, response: { 200: VariableView } } },
    async (request, reply) => {
      const { id, variable } = request.params;
      return sendVersioned(reply, toVariableView(await store.variables.get(id, variable)));
    },
  );

  app.post(
    path,
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        description: 'Empty lists mean everywhere. A sensitive value is sealed, and never shown again.',
        params: ById,
        body: Closed({ name: VariableName, value: VariableValue, sensitive: Type.Optional(Type.Boolean()), ...scope }),
        response: { 201: VariableView },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const made = await createVariable(tx, sealer, request.params.id, request.body, actor);
        const location = `/api/v1/projects/${made.project}/variables/${made.id}`;
        return { status: 201, body: toVariableView(made), location, version: made.version };
      }),
  );

  app.patch(
    `${path}/:variable`,
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        params: VariableRef,
        body: Closed({
          name: Type.Optional(VariableName),
          value: Type.Optional(VariableValue),
          sensitive: Type.Optional(Type.Boolean()),
          ...scope,
        }),
        response: { 200: VariableView },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id: project, variable } = request.params;
        const { id } = await tx.variables.get(project, variable);
        const reference = { project, id, version: requiredVersion(request) };
        const changed = await updateVariable(tx, sealer, reference, request.body, actor);
        return { status: 200, body: toVariableView(changed), version: changed.version };
      }),
  );

  app.delete(
    `${path}/:variable`,
    { config: { policy: 'operator' }, schema: { tags, params: VariableRef, response: { 204: Type.Null() } } },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id: project, variable } = request.params;
        const { id } = await tx.variables.get(project, variable);
        await deleteVariable(tx, { project, id, version: requiredVersion(request) }, actor);
        return { status: 204, body: null };
      }),
  );
}

function toView({ process, ...project }: Project): Static<typeof View> {
  return { ...project, process: [...process] };
}

function toVariableView(variable: Variable): Static<typeof VariableView> {
  const view = variableView(variable);
  return {
    ...view,
    environments: [...view.environments],
    machines: [...view.machines],
    targetRoles: [...view.targetRoles],
  };
}
