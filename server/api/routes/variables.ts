// Variables of a project. Sensitive values are accepted and never answered.
import { IdempotencyKey, IfMatch, json, noContent } from '../../../contract/http.ts';
import { BySlug, PageQuery } from '../../../contract/schema.ts';
import { ByVariable, NewVariable, Variable, VariablePage, VariablePatch } from '../../../contract/variables.ts';
import { createVariable, deleteVariable, updateVariable, variableView } from '../../projects/variables.ts';
import { change, requiredVersion, sendVersioned } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { mapPage, pageRequest } from '../pages.ts';

const PATH = '/projects/:id/variables';

export function variableRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, sealer } = context;
  const tags = ['variables'];

  app.get(
    PATH,
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listVariables',
        summary: 'List the variables of a project',
        tags,
        params: BySlug,
        querystring: PageQuery,
        response: { 200: json('A page of variables, without sensitive values.', VariablePage) },
      },
    },
    async (request) => {
      const { id } = await store.projects.get(request.params.id);
      return mapPage(await store.variables.list(id, pageRequest(request.query)), variableView);
    },
  );

  app.get(
    `${PATH}/:variable`,
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getVariable',
        summary: 'Show one variable',
        tags,
        params: ByVariable,
        response: { 200: json('The variable, without a sensitive value.', Variable, 'ETag') },
      },
    },
    async (request, reply) => {
      const { id, variable } = request.params;
      return sendVersioned(reply, variableView(await store.variables.get(id, variable)));
    },
  );

  app.post(
    PATH,
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'createVariable',
        summary: 'Create a variable',
        description: 'A sensitive value is sealed and never shown again.',
        tags,
        params: BySlug,
        headers: IdempotencyKey,
        body: NewVariable,
        response: { 201: json('The variable was created.', Variable, 'ETag', 'Location') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const created = await createVariable(tx, sealer, request.params.id, request.body, actor);
        const location = `/api/v1/projects/${created.project}/variables/${created.id}`;
        return { status: 201, body: variableView(created), location, version: created.version };
      }),
  );

  app.patch(
    `${PATH}/:variable`,
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'updateVariable',
        summary: 'Change one variable',
        tags,
        params: ByVariable,
        headers: IfMatch,
        body: VariablePatch,
        response: { 200: json('The changed variable.', Variable, 'ETag') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id: project, variable } = request.params;
        const { id } = await tx.variables.get(project, variable);
        const reference = { project, id, version: requiredVersion(request) };
        const changed = await updateVariable(tx, sealer, reference, request.body, actor);
        return { status: 200, body: variableView(changed), version: changed.version };
      }),
  );

  app.delete(
    `${PATH}/:variable`,
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'deleteVariable',
        summary: 'Delete one variable',
        description: 'Releases keep their copies.',
        tags,
        params: ByVariable,
        headers: IfMatch,
        response: { 204: noContent('The variable is deleted.') },
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id: project, variable } = request.params;
        const { id } = await tx.variables.get(project, variable);
        await deleteVariable(tx, { project, id, version: requiredVersion(request) }, actor);
        return { status: 204, body: null };
      }),
  );
}
