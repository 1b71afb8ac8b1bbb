// The audit trail.
import { AuditEventPage, AuditQuery } from '../../../contract/audit.ts';
import { json } from '../../../contract/http.ts';
import { listAudit } from '../../events/audit.ts';
import type { ApiContext, ApiInstance } from '../context.ts';

export function auditRoutes(app: ApiInstance, { store }: ApiContext): void {
  app.get(
    '/events',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listAuditEvents',
        summary: 'List audit events',
        description:
          'Every change, oldest first, after number `after`; `next` is the next `after`. `denied=true` lists denials ' +
          'instead, in the same form and with numbers of their own; only the latest 100,000 are kept.',
        tags: ['audit'],
        querystring: AuditQuery,
        response: { 200: json('A page of audit events.', AuditEventPage) },
      },
    },
    (request) => listAudit(store, { limit: 100, ...request.query }),
  );
}
