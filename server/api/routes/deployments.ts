// Deployments of releases.
import { DeploymentPage, DeploymentQuery, NewDeployment } from '../../../contract/deployments.ts';
import { IdempotencyKey, json } from '../../../contract/http.ts';
import { submitDeployment } from '../../deployments/deployments.ts';
import { change } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { checkedPage } from '../filters.ts';
import { pageRequest } from '../pages.ts';
import { accepted, ACCEPTED_TASK } from './tasks.ts';

export function deploymentRoutes(app: ApiInstance, context: ApiContext): void {
  const { store, sealer, steps } = context;
  const tags = ['deployments'];

  app.get(
    '/deployments',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listDeployments',
        summary: 'List deployments',
        description: 'Newest first.',
        tags,
        querystring: DeploymentQuery,
        response: { 200: json('A page of deployments.', DeploymentPage) },
      },
    },
    async (request) => {
      const { project, environment } = request.query;
      const page = await store.deployments.list({ project, environment }, pageRequest(request.query));
      return checkedPage(store, page, request.query);
    },
  );

  app.post(
    '/deployments',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'deploy',
        summary: 'Deploy a release to an environment',
        tags,
        headers: IdempotencyKey,
        body: NewDeployment,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitDeployment(tx, { sealer, steps }, request.body, actor)),
      ),
  );
}
