// Event subscriptions: how far each subscriber inside the server has read the events.
import { EventSubscriptionPage } from '../../../contract/event-subscriptions.ts';
import { json } from '../../../contract/http.ts';
import type { ApiContext, ApiInstance } from '../context.ts';

export function eventSubscriptionRoutes(app: ApiInstance, { services }: ApiContext): void {
  app.get(
    '/event-subscriptions',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listEventSubscriptions',
        summary: 'List event subscriptions',
        description:
          'The subscribers to domain events inside the server, and how far behind each is. One that stays behind is ' +
          'failing: the server log says why.',
        tags: ['audit'],
        response: { 200: json('All event subscriptions.', EventSubscriptionPage) },
      },
    },
    async () => ({ items: await services.eventSubscriptions() }),
  );
}
