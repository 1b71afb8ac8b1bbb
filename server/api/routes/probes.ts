// What an orchestrator asks: does the process live, and can it do its work.
import { Type } from 'typebox';
import type { ApiContext, ApiInstance } from '../context.ts';

export function probeRoutes(app: ApiInstance, { store, stopping }: ApiContext): void {
  const Status = Type.Object({ status: Type.String() });
  const schema = { tags: ['probes'], response: { 200: Status } };
  app.get('/livez', { config: { policy: 'public' }, schema }, () => ({ status: 'alive' }));
  app.get(
    '/readyz',
    { config: { policy: 'public' }, schema: { ...schema, response: { 200: Status, 503: Status } } },
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
