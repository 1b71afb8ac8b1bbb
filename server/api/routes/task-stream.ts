// A task's stream of log lines, notes and states: as pages, and live.
import { Type } from 'typebox';
import type { ApiContext, ApiInstance } from '../context.ts';
import { streamTask } from '../events.ts';
import { AnyId, Closed, Nullable, PageOf, Timestamp } from '../schemas.ts';

const seq = Type.Integer({ description: 'Place in the stream: rises by one.' });

const Entry = Type.Union([
  Type.Object({
    kind: Type.Literal('log'),
    seq,
    at: Timestamp,
    ticket: Type.String(),
    machine: Type.String(),
    step: Type.Integer(),
    action: Type.String(),
    line: Type.Integer(),
    stream: Type.String(),
    text: Type.String(),
  }),
  Type.Object({
    kind: Type.Enum(['note', 'state']),
    seq,
    at: Timestamp,
    machine: Nullable(Type.String()),
    ticket: Nullable(Type.String()),
    level: Type.Enum(['info', 'warning', 'error']),
    code: Nullable(Type.String()),
    text: Type.String(),
    data: Type.Unknown(),
  }),
]);

const Query = Closed({
  after: Type.Optional(Type.Integer({ minimum: 0 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
});

export function taskStreamRoutes(app: ApiInstance, context: ApiContext): void {
  const { store } = context;
  const params = Closed({ id: AnyId });

  app.get(
    '/tasks/:id/log',
    {
      config: { policy: 'viewer' },
      schema: {
        tags: ['tasks'],
        description: 'The stream after place `after`, in order; `next` is the next `after`, absent at the present end.',
        params,
        querystring: Query,
        response: { 200: PageOf(Entry) },
      },
    },
    async (request) => {
      const { after = 0, limit = 100 } = request.query;
      const { id, streamSeq } = await store.tasks.get(request.params.id);
      const items = await store.notes.stream(id, after, limit);
      const last = items.at(-1);
      return last !== undefined && last.seq < streamSeq ? { items, next: String(last.seq) } : { items };
    },
  );

  app.get(
    '/tasks/:id/events',
    {
      config: { policy: 'viewer' },
      schema: {
        tags: ['tasks'],
        description:
          'The stream as server-sent events (log, note, state), from after Last-Event-ID on, until the task has ended; ' +
          'the last event is `end`.',
        params,
        produces: ['text/event-stream'],
      },
    },
    async (request, reply) => {
      await streamTask(context, request, reply, request.params.id);
    },
  );
}
