// How far the parts of the server that act on events have read them.
import { Type } from 'typebox';
import type { ApiContext, ApiInstance } from '../context.ts';
import { Nullable, PageOf, Timestamp } from '../schemas.ts';

const SubscriptionView = Type.Object({
  name: Type.String(),
  position: Type.Integer({ description: 'The number of the last event that was handled or passed over.' }),
  behind: Type.Integer({ description: 'Events that wait for it.' }),
  behindSince: Nullable(Timestamp),
  failures: Type.Integer({ description: 'Failures since the last success.' }),
});

export function eventSubscriptionRoutes(app: ApiInstance, { services }: ApiContext): void {
  app.get(
    '/event-subscriptions',
    {
      config: { policy: 'viewer' },
      schema: {
        tags: ['access'],
        description:
          'What acts on events, and how far behind it is. One that stays behind fails: the server log says why.',
        response: { 200: PageOf(SubscriptionView) },
      },
    },
    async () => ({ items: await services.eventSubscriptions() }),
  );
}
