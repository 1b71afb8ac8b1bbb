// How far the subscribers inside the server have read the events.
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
          'What acts on events, and how far behind it is. One that stays behind fails: the server log says why.',
        tags: ['audit'],
        response: { 200: json('All event subscriptions.', EventSubscriptionPage) },
      },
    },
    async () => ({ items: await services.eventSubscriptions() }),
  );
}
