// A start that is delayed while its task is cancelled: `cancelled` means that it can never start any more.
import { expect, it } from 'vitest';
import { submitScript } from '../../server/scripts/script-task.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, submit, ticketOf, type Harness } from './harness.ts';

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

/** A script whose start was sent to one process of web-1, when another one may act as it that lacks its journal. */
async function sentToAnother(loseStartReplies: number) {
  let generation = 1;
  const h = await startHarness({}, { journalGeneration: () => generation });
  const fake = await h.machine('web-1');
  fake.loseStartReplies = loseStartReplies;
  fake.holdStarts = loseStartReplies === 0;
  const id = await submit(h, 'say late');
  await waitFor(() => fake.heldStarts > 0 || fake.starts.length > 0);
  generation = 2;
  fake.holdStarts = false;
  fake.cut();
  return { h, fake, task: await h.ended(id), ticket: await ticketOf(h, id) };
}

it('never sends a script to a process that may lack the journal of the one that it was sent to', async () => {
  const { h, fake, task, ticket } = await sentToAnother(0);
  expect(task.state).toBe('interrupted');
  expect(ticket).toMatchObject({ state: 'interrupted', errorCode: 'NODE_REPLACED', errorHop: 'web-1' });
  expect(fake.starts).toEqual([]);
  // What is new is for the process that acts as the machine now.
  expect((await h.ended(await submit(h, 'say new'))).state).toBe('succeeded');
});

it('takes the end of such a script from a process that knows it', async () => {
  const { h, fake, task, ticket } = await sentToAnother(1);
  expect(task.state).toBe('succeeded');
  expect(await h.texts(ticket.id)).toEqual(['late']);
  expect(fake.starts).toEqual([ticket.id]);
});
