// A task's stream of log lines, messages and states: as pages, and live.
import { eventStream, json, LastEventId } from '../../../contract/http.ts';
import { ById } from '../../../contract/schema.ts';
import { StreamPage, StreamQuery, TaskEvent } from '../../../contract/task-stream.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { streamTask } from '../stream/task-events.ts';

export function taskStreamRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const tags = ['tasks'];

  app.get(
    '/tasks/:id/log',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listTaskLog',
        summary: "List entries of a task's stream",
        description: 'The entries after number `after`, in order; `next` is the next `after`.',
        tags,
        params: ById,
        querystring: StreamQuery,
        response: { 200: json('A page of log lines, messages and states.', StreamPage) },
      },
    },
    async (request) => {
      const { after = 0, limit = 100 } = request.query;
      const { id, streamSeq } = await store.tasks.get(request.params.id);
      const items = await store.taskEvents.stream(id, after, limit);
      const last = items.at(-1);
      return last !== undefined && last.seq < streamSeq ? { items, next: String(last.seq) } : { items };
    },
  );

  app.get(
    '/tasks/:id/events',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'followTask',
        summary: "Follow a task's stream",
        description: 'Sends the entries after Last-Event-ID until the task has ended; the last event is `end`.',
        tags,
        params: ById,
        headers: LastEventId,
        response: { 200: eventStream('Server-sent events, one per entry.', TaskEvent) },
      },
    },
    async (request, reply) => {
      await streamTask(context, request, reply, request.params.id);
    },
  );
}
