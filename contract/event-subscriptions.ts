// How far the subscribers inside the server have read the domain events.
import { Type, type Static } from 'typebox';
import { Nullable, PageOf, Timestamp } from './schema.ts';

export const EventSubscription = Type.Object(
  {
    name: Type.String(),
    position: Type.Integer({ description: 'The number of the last event that was handled or passed over.' }),
    behind: Type.Integer({ description: 'Events that wait for it.' }),
    behindSince: Nullable(Timestamp),
    failures: Type.Integer({ description: 'Failures since the last success.' }),
  },
  { $id: 'EventSubscription' },
);
export type EventSubscription = Static<typeof EventSubscription>;

export const EventSubscriptionPage = PageOf(EventSubscription, 'EventSubscriptionPage');
