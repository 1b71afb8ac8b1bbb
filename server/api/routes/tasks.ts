// Tasks: the ways to ask for one, what became of it, and asking for its end. The stream is in task-stream.ts.
import { Type, type Static } from 'typebox';
import type { Task } from '../../store/repositories/tasks.ts';
import type { StoreTransaction } from '../../store/store.ts';
import { retryTask } from '../../tasks/retry.ts';
import { submitHealthCheck } from '../../health/health-task.ts';
import { submitScript } from '../../scripts/script-task.ts';
import { cancelTask } from '../../tasks/submit.ts';
import { taskSummary, taskView, type TaskView } from '../../tasks/view.ts';
import { change, type Answer } from '../answers.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import {
  AnyId,
  ById,
  Closed,
  FilteredQuery,
  mapPage,
  Nullable,
  PageOf,
  pageRequest,
  Slug,
  Slugs,
  Timestamp,
} from '../schemas.ts';

const Kind = Type.Enum(['script', 'health', 'deployment']);
const ends = ['succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted'] as const;
const State = Type.Enum(['queued', 'running', 'cancelling', ...ends]);
const TicketState = Type.Enum(['pending', 'sent', 'running', 'skipped', ...ends]);
const ErrorView = Type.Object({
  code: Type.String(),
  detail: Nullable(Type.String()),
  hop: Type.Optional(Type.String()),
});

const Summary = Type.Object({
  id: Type.String(),
  kind: Type.String({ description: 'script, health or deployment.' }),
  title: Type.String(),
  state: State,
  project: Nullable(Slug),
  environment: Nullable(Slug),
  createdBy: Type.String(),
  createdAt: Timestamp,
  startedAt: Nullable(Timestamp),
  endedAt: Nullable(Timestamp),
  deadlineAt: Timestamp,
  retryOf: Type.Optional(Type.String({ description: 'The task that this one tries again.' })),
  error: Type.Optional(ErrorView),
});

const StepView = Type.Object({
  step: Type.String(),
  action: Type.String(),
  ticket: Nullable(Type.String()),
  executor: Nullable(Slug),
  state: TicketState,
  exitCode: Nullable(Type.Integer()),
  startedAt: Nullable(Timestamp),
  endedAt: Nullable(Timestamp),
  error: Type.Optional(ErrorView),
  detail: Type.Unknown(),
});

const View = Type.Intersect([
  Summary,
  Type.Object({
    machines: Type.Array(
      Type.Object({
        machine: Slug,
        state: TicketState,
        steps: Type.Array(StepView),
        note: Type.Optional(
          Type.Object(
            { at: Timestamp, ticket: Nullable(Type.String()), code: Nullable(Type.String()), text: Type.String() },
            { description: 'While it is under way: what it waits for, or how far it is.' },
          ),
        ),
      }),
    ),
    blockedBy: Type.Optional(Type.Array(Type.String())),
  }),
]);

/** What a route that accepts a task answers: 202, and where to look. */
export const AcceptedTask = { 202: Summary };

const targets = {
  machines: Type.Optional(Slugs),
  environments: Type.Optional(Slugs),
  targetRoles: Type.Optional(Slugs),
};

/** The longest deadline the task engine takes; it checks again. */
export const DeadlineS = Type.Integer({ minimum: 1, maximum: 7 * 86_400 });

const Script = Closed({
  body: Type.String({ minLength: 1 }),
  interpreter: Type.Optional(Type.String({ minLength: 1, maxLength: 50 })),
  ...targets,
  timeLimitS: Type.Optional(Type.Integer({ minimum: 0, maximum: 7 * 86_400 })),
  deadlineS: Type.Optional(DeadlineS),
  isolation: Type.Optional(Type.Enum(['exclusive', 'shared'])),
});

const Query = FilteredQuery({
  state: Type.Optional(State),
  kind: Type.Optional(Kind),
  project: Type.Optional(Slug),
  environment: Type.Optional(Slug),
});

export function taskRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['tasks'];

  app.get(
    '/tasks',
    {
      config: { policy: 'viewer' },
      schema: { tags, description: 'Newest first.', querystring: Query, response: { 200: PageOf(Summary) } },
    },
    async (request) => {
      const { state, kind, project, environment } = request.query;
      const page = await store.tasks.list({ state, kind, project, environment }, pageRequest(request.query));
      return mapPage(page, taskSummary);
    },
  );

  app.get(
    '/tasks/:id',
    { config: { policy: 'viewer' }, schema: { tags, params: Closed({ id: AnyId }), response: { 200: View } } },
    async (request) => toView(await taskView(store, request.params.id)),
  );

  app.post(
    '/tasks/:id/cancel',
    {
      config: { policy: 'operator' },
      schema: {
        tags,
        description: 'Asks for the end of a task. Doing it again changes nothing; an ended task stays as it is.',
        params: Closed({ id: AnyId }),
        response: AcceptedTask,
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
      config: { policy: 'operator' },
      schema: {
        tags,
        description:
          'A new task that asks for the same, on the machines where this one did not succeed and that still take work. ' +
          'Refused while it or an earlier retry of it is open and once it has succeeded on all its machines. ' +
          'What was interrupted may run a second time.',
        params: Closed({ id: AnyId }),
        response: AcceptedTask,
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
      config: { policy: 'operator' },
      schema: { tags, description: 'Runs a script on machines.', body: Script, response: AcceptedTask },
    },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitScript(tx, request.body, actor)),
      ),
  );

  app.post(
    '/health-checks',
    { config: { policy: 'operator' }, schema: { tags, body: Closed(targets), response: AcceptedTask } },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) =>
        accepted(context, await submitHealthCheck(tx, await everyMachine(tx, request.body), actor)),
      ),
  );

  app.post(
    '/machines/:id/health',
    { config: { policy: 'operator' }, schema: { tags, params: ById, response: AcceptedTask } },
    (request, reply) =>
      change(context, request, reply, async (tx, actor) => {
        const { id } = await tx.machines.get(request.params.id);
        return accepted(context, await submitHealthCheck(tx, { machines: [id] }, actor));
      }),
  );
}

/** The answer for a task that was accepted: where to look, and a nudge for the engine. */
export function accepted({ services }: ApiContext, task: Task): Answer<Static<typeof Summary>> {
  return {
    status: 202,
    body: taskSummary(task),
    location: `/api/v1/tasks/${task.id}`,
    after: () => {
      services.wake();
    },
  };
}

/** A health check that names nothing is of every enabled machine. */
async function everyMachine(tx: StoreTransaction, asked: Static<ReturnType<typeof Closed<typeof targets>>>) {
  if (Object.values(asked).some((list) => list !== undefined)) return asked;
  const machines = await tx.machines.select({ disabled: false });
  return { machines: machines.map(({ id }) => id) };
}

/** As the schema's types have it, which know no `readonly`. */
function toView({ machines, blockedBy, ...summary }: TaskView): Static<typeof View> {
  return {
    ...summary,
    machines: machines.map((entry) => ({ ...entry, steps: [...entry.steps] })),
    ...(blockedBy === undefined ? {} : { blockedBy: [...blockedBy] }),
  };
}
