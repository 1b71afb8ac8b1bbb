// Answers of a machine, or of a hop on the path to it, are trusted only as far as they can be right.
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { submitHealthCheck } from '../../server/health/health-task.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, submit, ticketOf, type Harness } from './harness.ts';

describe.each([
  'TICKET_ALREADY_USED',
  'TICKET_UNKNOWN',
  'STALE_EPOCH',
  'MACHINE_REVOKED',
  'METHOD_UNKNOWN',
  'SCRIPT_NOT_ENDED',
  'LOG_QUOTA',
  'INTERNAL',
  'RATE_LIMITED',
] as const)('a hop on the path that says %s', (code) => {
  const denial = new IsthmusError(code, 'said by a relay', { hop: 'eu' });
  const isTold = (h: Harness, id: string) => async () =>
    (await h.store.taskEvents.stream(id, 0, 100)).some((entry) => entry.kind === 'message' && entry.code === code);

  it('keeps a script waiting, and does not end it', async () => {
    const h = await startHarness();
    const fake = await h.machine('web-1');
    h.denial = denial;
    const id = await submit(h, 'say once');
    await waitFor(isTold(h, id));
    h.denial = undefined;
    expect((await h.ended(id)).state).toBe('succeeded');
    expect(fake.starts).toHaveLength(1);
  });

  it('does not end a script that runs', async () => {
    const h = await startHarness();
    const fake = await h.machine('web-1');
    const id = await submit(h, 'say before\nhold\nsay after');
    const { id: ticket } = await waitFor(async () => {
      const found = await ticketOf(h, id);
      return found.storedLine === 1 ? found : undefined;
    });
    h.denial = denial;
    fake.cut();
    await waitFor(isTold(h, id));
    h.denial = undefined;
    fake.script.proceed();
    const task = await h.ended(id);
    expect(task).toMatchObject({ state: 'succeeded', epoch: 1 });
    expect(await h.texts(ticket)).toEqual(['before', 'after']);
    expect(fake.starts).toHaveLength(1);
  });
});

it('ends a malformed log, and says so', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.stream = 'elsewhere';
  const id = await submit(h, 'say hello');
  expect((await h.ended(id)).state).toBe('interrupted');
  expect(await ticketOf(h, id)).toMatchObject({ errorCode: 'LOG_MALFORMED', errorHop: 'web-1', storedLine: 0 });
  const { items } = await h.store.denials.list({ type: 'ticket.denied', limit: 10 });
  expect(items).toHaveLength(1);
});

it('ends the stream of a tentacle that answers for another ticket, and stores nothing for that one', async () => {
  const h = await startHarness();
  await h.machine('web-2');
  const other = await submit(h, 'hold', { machines: ['web-2'] });
  const victim = await ticketOf(h, other);
  const fake = await h.machine('web-1');
  fake.answersFor = victim.id;
  const id = await submit(h, 'many 3');
  expect((await h.ended(id)).state).toBe('interrupted');
  expect(await ticketOf(h, id)).toMatchObject({ errorCode: 'TICKET_MISMATCH', errorHop: 'web-1', storedLine: 0 });
  expect(await h.store.tickets.get(victim.id)).toMatchObject({ storedLine: 0 });
  expect(await h.texts(victim.id)).toEqual([]);
  const { items } = await h.store.denials.list({ type: 'ticket.denied', limit: 10 });
  expect(items).toMatchObject([{ actor: 'web-1', data: { ticket: (await ticketOf(h, id)).id } }]);
});

it('does not repeat a call whose answer cannot be decoded, and records a denial', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.garbles = true;
  const id = await submit(h, 'say hello');
  expect((await h.ended(id)).state).toBe('interrupted');
  expect(await ticketOf(h, id)).toMatchObject({ errorCode: 'ANSWER_MALFORMED', errorHop: 'web-1', storedLine: 0 });
  expect(fake.starts).toHaveLength(1);
  const { items } = await h.store.denials.list({ type: 'ticket.denied', limit: 10 });
  expect(items).toMatchObject([{ actor: 'web-1', data: { code: 'ANSWER_MALFORMED' } }]);

  const check = await h.store.transaction((tx) => submitHealthCheck(tx, { machines: ['web-1'] }, actor));
  await h.ended(check.id);
  expect(await h.store.machines.get('web-1')).toMatchObject({
    health: 'unreachable',
    healthReport: { reasons: [{ what: 'machine', code: 'ANSWER_MALFORMED' }] },
  });
});

it('truncates what a tentacle sends beside the log', async () => {
  const h = await startHarness();
  const [stranger, talker] = [await h.machine('web-1'), await h.machine('web-2')];
  stranger.answersFor = 'x'.repeat(1_000_000);
  talker.health = { os: 'y'.repeat(1_000_000), interpreters: Array.from({ length: 10_000 }, () => ({ name: 'bash' })) };
  const [one, two] = [await submit(h, 'hold'), await submit(h, 'hold', { machines: ['web-2'] })];
  await waitFor(() => talker.scripts.size === 1);
  talker.script.errorDetail = 'z'.repeat(1_000_000);
  talker.script.proceed();
  expect([(await h.ended(one)).state, (await h.ended(two)).state]).toEqual(['interrupted', 'failed']);
  const check = await h.store.transaction((tx) => submitHealthCheck(tx, { machines: ['web-2'] }, actor));
  await h.ended(check.id);
  const { items: rejected } = await h.store.denials.list({ type: 'ticket.denied', limit: 10 });
  const { healthReport } = await h.store.machines.get('web-2');
  for (const kept of [await ticketOf(h, one), await ticketOf(h, two), rejected[0], healthReport]) {
    expect(JSON.stringify(kept)).toMatch(/x{100}|y{100}|z{100}/);
    expect(JSON.stringify(kept).length).toBeLessThan(5_000);
  }
});
