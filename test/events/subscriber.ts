// A process that subscriptions.test.ts starts: handles the events of a store. It kills itself with `SIGKILL` after the
// work for the event of the given subject, before its position is committed; without a subject it continues.
import { appendFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { EventSubscriptions } from '../../server/events/subscriptions.ts';
import { openStore } from '../../server/store/store.ts';

const [dataDir, killAt] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: subscriber <data folder> [<subject>]');
const store = await openStore({ dataDir, log: silentLogger() });
const subscriptions = new EventSubscriptions({ store, log: silentLogger() });

function dieAt(subject: string): void {
  if (subject === killAt) process.kill(process.pid, 'SIGKILL');
}

subscriptions.subscribe('in-the-database', {
  types: ['site.deleted'],
  from: 'start',
  async handle(events, tx) {
    for (const { subject } of events) {
      await tx.settings.set('handled', `${(await tx.settings.get('handled')) ?? ''}${subject}\n`);
      dieAt(subject);
    }
  },
});
subscriptions.subscribe('elsewhere', {
  types: ['environment.deleted'],
  from: 'start',
  async act(events) {
    for (const { subject } of events) {
      appendFileSync(join(dataDir, 'acted'), `${subject}\n`);
      dieAt(subject);
    }
  },
});
await subscriptions.start();
writeSync(1, 'started\n');
for (;;) {
  const status = await subscriptions.status();
  if (status.every(({ behind }) => behind === 0)) break;
  await new Promise((resolve) => setTimeout(resolve, 10));
}
await subscriptions.stop();
await store.close();
