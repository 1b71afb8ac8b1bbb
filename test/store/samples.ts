// Rows that store tests need first.
import type { NewLogLine } from '../../server/store/tasks/log-lines.ts';
import { newId } from '../../lib/ids.ts';
import type { Store } from '../../server/store/store.ts';
import type { NewTask } from '../../server/store/tasks/tasks.ts';

/** A queued script task, with the fields that the test sets. */
export async function addTask(store: Store, given: Partial<NewTask> = {}): Promise<string> {
  const task: NewTask = {
    id: newId(),
    kind: 'script',
    title: 'a script',
    payload: { body: 'true' },
    concurrencyKey: null,
    project: null,
    environment: null,
    deadlineS: 999,
    createdBy: 'key-1',
    createdAt: 1000,
    ...given,
  };
  await store.transaction((tx) => tx.tasks.insert(task));
  return task.id;
}

/** Claims the next task at time 2000 for ten seconds, as `owner`. */
export async function claim(store: Store, owner = 'server-1', now = 2000) {
  const task = await store.tasks.claimNext({ owner, leaseMs: 10_000, now });
  if (task === undefined) throw new Error('nothing to claim');
  return { task: task.id, epoch: task.epoch };
}

/** A claimed task with one ticket. */
export async function addTicket(store: Store) {
  await addTask(store);
  const fence = await claim(store);
  const ticket = newId();
  await store.transaction((tx) =>
    tx.tickets.insert(fence, [
      { id: ticket, step: 0, action: 'script', target: 'm-1', executor: 'm-1', attempt: 1, createdAt: 2000 },
    ]),
  );
  return { fence, ticket };
}

/** Lines `from`..`to`, each with its own number as text. */
export function lines(from: number, to: number): NewLogLine[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({
    stream: 'stdout',
    at: 3000,
    text: `line ${from + index}`,
    ending: 'newline',
  }));
}
