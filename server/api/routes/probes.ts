// What an orchestrator asks: does the process live, and can it do its work.
import { json } from '../../../contract/http.ts';
import { ProbeStatus } from '../../../contract/probes.ts';
import type { ApiContext, ApiInstance } from '../context.ts';

export function probeRoutes(app: ApiInstance, { store, stopping }: ApiContext): void {
  const tags = ['probes'];

  app.get(
    '/livez',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'livez',
        summary: 'Say whether the process lives',
        tags,
        response: { 200: json('It lives.', ProbeStatus) },
      },
    },
    () => ({ status: 'alive' }),
  );

  app.get(
    '/readyz',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'readyz',
        summary: 'Say whether the server can do its work',
        tags,
        response: {
          200: json('It can.', ProbeStatus),
          503: json('It stops, or its store does not answer.', ProbeStatus),
        },
      },
    },
    async (_request, reply) => {
      if (stopping.aborted) return reply.code(503).send({ status: 'stopping' });
      try {
        await store.tasks.openCount();
      } catch {
        return reply.code(503).send({ status: 'the store does not answer' });
      }
      return { status: 'ready' };
    },
  );
}
