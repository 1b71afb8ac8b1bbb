// A start that is delayed while its task is cancelled: `cancelled` means that it can never start any more.
import { expect, it } from 'vitest';
import { submitScript } from '../../server/scripts/script-task.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, type Harness } from './harness.ts';

/** Submits a script and cancels it while its start is in flight. */
async function cancelledDuringStart(h: Harness, fake: Awaited<ReturnType<Harness['machine']>>): Promise<string> {
  fake.holdStarts = true;
  const request = { body: 'say late', machines: ['web-1'] };
  const { id } = await h.store.transaction((tx) => submitScript(tx, request, actor));
  await waitFor(() => fake.heldStarts > 0);
  await h.store.transaction((tx) => cancelTask(tx, id, actor));
  return id;
}

it('calls an in-doubt start cancelled once the machine has consumed its ticket', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await cancelledDuringStart(h, fake);
  expect((await h.ended(id)).state).toBe('cancelled');
  const [ticket] = await h.store.tickets.byTask(id);
  expect(ticket).toMatchObject({ state: 'cancelled', errorCode: 'CANCELLED' });
  expect(fake.cancels).toContain(ticket!.id);
  expect(() => fake.deliverHeld()).toThrow(expect.objectContaining({ code: 'TICKET_ALREADY_USED' }));
  expect(fake.starts).toEqual([]);
});

it('calls an in-doubt start interrupted when the machine does not confirm that it can no longer start', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.consumesUnknown = false;
  const id = await cancelledDuringStart(h, fake);
  expect((await h.ended(id)).state).toBe('interrupted');
  expect((await h.store.tickets.byTask(id))[0]).toMatchObject({ state: 'interrupted', errorCode: 'TICKET_UNKNOWN' });
});

it('never sends a script to the process that an operator let in after it was sent to another one', async () => {
  let reactivatedAt: number | null = null;
  const h = await startHarness({}, { reactivatedAt: () => reactivatedAt });
  const fake = await h.machine('web-1');
  fake.holdStarts = true;
  const request = { body: 'say late', machines: ['web-1'] };
  const { id } = await h.store.transaction((tx) => submitScript(tx, request, actor));
  await waitFor(() => fake.heldStarts > 0);
  reactivatedAt = Date.now();
  fake.holdStarts = false;
  fake.cut();
  expect((await h.ended(id)).state).toBe('interrupted');
  expect((await h.store.tickets.byTask(id))[0]).toMatchObject({ state: 'interrupted', errorCode: 'NODE_REACTIVATED' });
  expect(fake.starts).toEqual([]);
  // What is new is for the process that was let in.
  const next = await h.store.transaction((tx) => submitScript(tx, request, actor));
  expect((await h.ended(next.id)).state).toBe('succeeded');
});
