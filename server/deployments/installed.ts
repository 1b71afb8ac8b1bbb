// Deletes a machine's installed releases with the machine, so that a later one of the same name starts with none.
import type { Subscription } from '../events/subscriptions.ts';

export const installedReleasesSubscription: Subscription<'machine.deleted'> = {
  types: ['machine.deleted'],
  from: 'start',
  async handle(events, tx) {
    for (const { subject, at } of events) await tx.installed.removeOf(subject, at);
  },
};
