// Tasks: submits scripts and health checks; lists, shows, cancels and retries tasks. The stream is in task-stream.ts.
import { IdempotencyKey, json } from '../../../contract/http.ts';
import { ById } from '../../../contract/schema.ts';
import {
  NewHealthCheck,
  NewScript,
  Task as TaskBody,
  TaskQuery,
  TaskSummary,
  TaskSummaryPage,
} from '../../../contract/tasks.ts';
import { submitHealthCheck } from '../../health/health-task.ts';
import { submitScript } from '../../scripts/script-task.ts';
import type { Task } from '../../store/tasks/tasks.ts';
import { retryTask } from '../../tasks/retry.ts';
import { cancelTask } from '../../tasks/submit.ts';
import { taskSummary, taskView } from '../../tasks/view.ts';
import { change, type Answer } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { checkedPage } from '../filters.ts';
import { mapPage, pageRequest } from '../pages.ts';

/** The answer of a route that accepts a task: 202, with its Location. */
export const ACCEPTED_TASK = { 202: json('The task was accepted.', TaskSummary, 'Location') };

export function taskRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['tasks'];

  app.get(
    '/tasks',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listTasks',
        summary: 'List tasks',
        description: 'Newest first.',
        tags,
        querystring: TaskQuery,
        response: { 200: json('A page of tasks.', TaskSummaryPage) },
      },
    },
    async (request) => {
      const { state, kind, project, environment } = request.query;
      const page = await store.tasks.list({ state, kind, project, environment }, pageRequest(request.query));
      return mapPage(await checkedPage(store, page, request.query), taskSummary);
    },
  );

  app.get(
    '/tasks/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'getTask',
        summary: 'Show one task',
        description: 'With every machine and step.',
        tags,
        params: ById,
        response: { 200: json('The task.', TaskBody) },
      },
    },
    (request) => taskView(store, request.params.id),
  );

  app.post(
    '/tasks/:id/cancel',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'cancelTask',
        summary: 'Cancel a task',
        description: 'Repeating it changes nothing; an ended task stays as it is.',
        tags,
        params: ById,
        headers: IdempotencyKey,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await cancelTask(tx, request.params.id, actor)),
      ),
  );

  app.post(
    '/tasks/:id/retry',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'retryTask',
        summary: 'Retry a task',
        description:
          'Creates a task with the same request for the machines on which this one did not succeed and which still ' +
          'accept work. An error while this task or an earlier retry of it is open, and once it has succeeded on all ' +
          'its machines. Interrupted steps may run a second time.',
        tags,
        params: ById,
        headers: IdempotencyKey,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await retryTask(tx, context.kinds, request.params.id, actor)),
      ),
  );

  app.post(
    '/scripts',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'runScript',
        summary: 'Run a script on machines',
        tags,
        headers: IdempotencyKey,
        body: NewScript,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitScript(tx, request.body, actor)),
      ),
  );

  app.post(
    '/health-checks',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'checkHealth',
        summary: 'Check the health of machines',
        tags,
        headers: IdempotencyKey,
        body: NewHealthCheck,
        response: ACCEPTED_TASK,
      },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitHealthCheck(tx, request.body, actor)),
      ),
  );
}

/** The answer for an accepted task: its location. Wakes the engine after the commit. */
export function accepted({ services }: ApiContext, task: Task): Answer<TaskSummary> {
  return {
    status: 202,
    body: taskSummary(task),
    location: `/api/v1/tasks/${task.id}`,
    after: () => {
      services.wake();
    },
  };
}
