// Liveness and readiness probes.
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
        summary: 'Check whether the process is alive',
        tags,
        response: { 200: json('The process is alive.', ProbeStatus) },
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
        summary: 'Check whether the server is ready',
        tags,
        response: {
          200: json('The server is ready.', ProbeStatus),
          503: json('The server is stopping, or its store does not answer.', ProbeStatus),
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
