// The audit trail.
import { AuditEventPage, AuditQuery } from '../../../contract/audit.ts';
import { json } from '../../../contract/http.ts';
import type { ApiContext, ApiInstance } from '../context.ts';

export function auditRoutes(app: ApiInstance, { store }: ApiContext): void {
  app.get(
    '/events',
    {
      config: { policy: 'viewer' },
      schema: {
        operationId: 'listAuditEvents',
        summary: 'List audit events',
        description: 'Oldest first, after number `after`; `next` is the next `after`.',
        tags: ['audit'],
        querystring: AuditQuery,
        response: { 200: json('A page of audit events.', AuditEventPage) },
      },
    },
    (request) => store.events.list({ limit: 100, ...request.query }),
  );
}
