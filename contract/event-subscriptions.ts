// Event subscriptions: how far each subscriber inside the server has read the domain events.
import { Type, type Static } from 'typebox';
import { Nullable, PageOf, Timestamp } from './schema.ts';

export const EventSubscription = Type.Object(
  {
    name: Type.String(),
    position: Type.Integer({ description: 'The number of the last event that it has handled or skipped.' }),
    behind: Type.Integer({ description: 'How many events it has yet to handle.' }),
    behindSince: Nullable(Timestamp),
    failures: Type.Integer({ description: 'Failures since the last success.' }),
  },
  { $id: 'EventSubscription' },
);
export type EventSubscription = Static<typeof EventSubscription>;

export const EventSubscriptionPage = PageOf(EventSubscription, 'EventSubscriptionPage');
