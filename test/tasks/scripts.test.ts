// Script tasks through the whole engine, over the real wire, against tentacles that misbehave.
import { expect, it } from 'vitest';
import { newId } from '../../lib/ids.ts';
import type { Store } from '../../server/store/store.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { taskView } from '../../server/tasks/view.ts';
import type { FakeTentacle } from '../support/fake-tentacle.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, submit, ticketOf } from './harness.ts';

/** An ended task with one script ticket per machine, none of which is reported to its tentacle. */
async function endedUntold(store: Store, machines: readonly string[]): Promise<string[]> {
  const id = newId();
  const now = Date.now();
  const none = { concurrencyKey: null, project: null, environment: null };
  return store.transaction(async (tx) => {
    const task = { id, kind: 'script', title: 'x', payload: {}, deadlineS: 60, ...none } as const;
    await tx.tasks.insert({ ...task, createdBy: actor, createdAt: now });
    const { epoch } = (await tx.tasks.claimNext({ owner: 'server-1', leaseMs: 1000, now }))!;
    const fence = { task: id, epoch };
    const tickets = machines.map((machine, attempt) => {
      return { id: newId(), step: 0, action: 'script', target: machine, executor: machine, attempt, createdAt: now };
    });
    await tx.tickets.insert(fence, tickets);
    for (const [index, ticket] of tickets.entries()) {
      await tx.tickets.updateFenced(fence, ticket.id, { state: 'succeeded', startedAt: now, endedAt: now + index });
    }
    await tx.tasks.end(fence, { state: 'succeeded', now });
    return tickets.map((ticket) => ticket.id);
  });
}

it('runs a script once and stores its log', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await submit(h, 'say hello\nmany 250\nexit 0');
  expect(await h.ended(id)).toMatchObject({ state: 'succeeded', errorCode: null });
  const ticket = await ticketOf(h, id);
  expect(ticket).toMatchObject({ state: 'succeeded', exitCode: 0, storedLine: 251 });
  expect((await h.texts(ticket.id))[250]).toBe('line 250');
  expect(fake.starts).toEqual([ticket.id]);
  await waitFor(() => fake.completed.includes(ticket.id));
  await waitFor(async () => (await h.store.tickets.get(ticket.id)).completedAt !== null);
  const { items } = await h.store.events.list({ subject: id, limit: 100 });
  expect(items.map(({ type }) => type)).toEqual(['task.created', 'task.started', 'task.ended']);
});

it('gives a script line feeds, and says so', async () => {
  const h = await startHarness();
  await h.machine('web-1');
  // With a carriage return, `exit 3` would be another word.
  const id = await submit(h, '\ufeffsay hello\r\nexit 3\r\n');
  expect(await h.ended(id)).toMatchObject({ state: 'failed' });
  const ticket = await ticketOf(h, id);
  expect(ticket).toMatchObject({ exitCode: 3 });
  const stream = await h.store.taskEvents.stream(id, 0, 100);
  const text = 'the script had Windows line ends or a byte order mark, which were left out';
  expect(stream.filter((entry) => entry.kind === 'message')).toMatchObject([{ text }]);
});

it.each([
  [true, 0],
  [false, 1],
])('completes a ticket on the stream of its log (%s), else by a separate call', async (onStream, calls) => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.completesOnStream = onStream;
  const id = await submit(h, 'say hello\nexit 0');
  expect(await h.ended(id)).toMatchObject({ state: 'succeeded' });
  const ticket = await ticketOf(h, id);
  await waitFor(async () => (await h.store.tickets.get(ticket.id)).completedAt !== null);
  expect([fake.completed, fake.completionCalls]).toEqual([[ticket.id], calls]);
});

it('reports ends to a machine, although many others with more of them are unreachable', async () => {
  const h = await startHarness({ sweepEveryMs: 20, sweepExecutors: 2 });
  const machines = ['away-1', 'away-2', 'away-3', 'away-4', 'there'];
  const fakes = new Map<string, FakeTentacle>();
  for (const id of machines) fakes.set(id, await h.machine(id));
  const away = machines.slice(0, 4).map((id) => fakes.get(id)!);
  await Promise.all(away.map((fake) => fake.away()));
  // Unreported ends: each unreachable machine has more than one sweep reports, and older ones.
  const ends = machines.flatMap((machine) => Array.from({ length: machine === 'there' ? 1 : 30 }, () => machine));
  await endedUntold(h.store, ends);
  const untold = async () => {
    const page = { afterExecutor: '', executors: 9, perExecutor: 99 };
    return Map.groupBy(await h.store.tickets.uncompleted(0, page), ({ executor }) => executor);
  };
  await waitFor(async () => !(await untold()).has('there'));
  expect([...(await untold()).values()].map((own) => own.length)).toEqual([30, 30, 30, 30]);
  // Once they are back, all ends are reported, even after a ticket that a tentacle does not know.
  await Promise.all(away.map((fake) => fake.listen()));
  await waitFor(async () => (await untold()).size === 0);
  expect(away.map(({ completionCalls }) => completionCalls)).toEqual([30, 30, 30, 30]);
});

it('reports the other ends to a machine while one of its scripts still runs', async () => {
  const h = await startHarness({ sweepEveryMs: 20 });
  const fake = await h.machine('web-1');
  const [oldest = '', ...others] = await endedUntold(h.store, ['web-1', 'web-1', 'web-1']);
  fake.stillRuns.add(oldest);
  const page = { afterExecutor: '', executors: 9, perExecutor: 99 };
  const untold = async () => (await h.store.tickets.uncompleted(0, page)).map(({ id }) => id);
  await waitFor(async () => !(await untold()).some((id) => others.includes(id)));
  expect(await untold()).toEqual([oldest]);
});

it('reports a machine as reached again when it is, not when its script has ended', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  await fake.away();
  const id = await submit(h, 'hold');
  const messages = async () =>
    (await h.store.taskEvents.stream(id, 0, 100)).flatMap(({ kind, text }) => (kind === 'message' ? text : []));
  await waitFor(async () => (await messages()).length === 1);
  // Meanwhile the task's view shows what it waits for.
  const shown = async () => (await taskView(h.store, id)).machines.map(({ message }) => message?.text);
  expect(await shown()).toEqual(await messages());
  await fake.listen();
  await waitFor(async () => (await messages()).includes('web-1: reached again'));
  expect(await shown()).toEqual(['web-1: reached again']);
  fake.cut();
  await fake.away();
  await waitFor(async () => (await messages()).length === 3);
  await fake.listen();
  fake.script.print(['still here']);
  await waitFor(async () => (await messages()).length === 4);
  expect(fake.script.ended).toBe(false);
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('succeeded');
  expect((await messages()).filter((text) => text === 'web-1: reached again')).toHaveLength(2);
  expect(await shown()).toEqual([undefined]);
});

it('runs on all machines at once, and lets the others finish when one fails', async () => {
  const h = await startHarness();
  const one = await h.machine('web-1');
  const two = await h.machine('web-2');
  const id = await submit(h, 'hold\nsay done', { machines: ['web-1', 'web-2'] });
  await waitFor(() => one.scripts.size === 1 && two.scripts.size === 1);
  one.script.exitCode = 3;
  one.script.proceed();
  await waitFor(async () => (await h.store.tickets.byTask(id)).some(({ state }) => state === 'failed'));
  expect((await h.store.tasks.get(id)).state).toBe('running');
  two.script.proceed();
  expect(await h.ended(id)).toMatchObject({ state: 'failed', errorDetail: 'failed on web-1' });
  expect((await taskView(h.store, id)).machines.map(({ state }) => state)).toEqual(['failed', 'succeeded']);
});

it('starts a script again that its machine could not accept', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.rejectStarts = 2;
  expect(await h.ended(await submit(h, 'exit 0'))).toMatchObject({ state: 'succeeded' });
  expect(fake.rejectStarts).toBe(0);
  expect(fake.starts).toHaveLength(1);
});

it('names the signal that ended a script, also of one that was cancelled', async () => {
  const h = await startHarness();
  await h.machine('web-1');
  const killed = await submit(h, 'kill 35');
  expect(await h.ended(killed)).toMatchObject({ state: 'failed' });
  const error = { code: 'SCRIPT_FAILED', detail: 'exit code 163 (signal 35)' };
  expect((await taskView(h.store, killed)).machines[0]!.steps).toMatchObject([
    { state: 'failed', exitCode: 163, signal: 35, error },
  ]);
  const cancelled = await submit(h, 'say up\nhold');
  await waitFor(async () => (await h.store.tickets.byTask(cancelled))[0]?.state === 'running');
  await h.store.transaction((tx) => cancelTask(tx, cancelled, actor));
  expect(await h.ended(cancelled)).toMatchObject({ state: 'cancelled' });
  expect((await taskView(h.store, cancelled)).machines[0]!.steps).toMatchObject([
    { state: 'cancelled', exitCode: 143, signal: 15 },
  ]);
});

it('names the exit code, the machine and the code of a failure', async () => {
  const h = await startHarness();
  await h.machine('web-1');
  const id = await submit(h, 'exit 7');
  expect(await h.ended(id)).toMatchObject({ state: 'failed', errorCode: 'MACHINES_FAILED' });
  const view = await taskView(h.store, id);
  expect(view.machines).toMatchObject([
    {
      machine: 'web-1',
      state: 'failed',
      steps: [{ action: 'script', exitCode: 7, error: { code: 'SCRIPT_FAILED', hop: 'web-1' } }],
    },
  ]);
});

it('starts once when the reply is lost', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.loseStartReplies = 3;
  const id = await submit(h, 'many 10');
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(fake.starts).toHaveLength(1);
  expect(await h.texts((await ticketOf(h, id)).id)).toHaveLength(10);
});

it('acknowledges a line only once it is stored', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.batchLines = 7;
  const id = await submit(h, 'many 500\nhold\nmany 500');
  const ticket = await ticketOf(h, id);
  for (let cuts = 0; cuts < 10; cuts += 1) {
    // What was acknowledged when the connection broke must be in the store: the tentacle has deleted it.
    await waitFor(() => fake.scripts.size === 1);
    const acknowledged = fake.script.forgotten;
    const { storedLine } = await h.store.tickets.get(ticket.id);
    expect(storedLine).toBeGreaterThanOrEqual(acknowledged);
    fake.cut();
  }
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('succeeded');
  const texts = await h.texts(ticket.id);
  const numbers = Array.from({ length: 500 }, (_, index) => `line ${index + 1}`);
  expect(texts).toEqual([...numbers, ...numbers]);
});

it('waits for an unreachable machine, says so, and continues when it is back', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  await fake.away();
  const id = await submit(h, 'say back');
  await waitFor(async () => {
    const entries = await h.store.taskEvents.stream(id, 0, 100);
    const message = entries.find((entry) => entry.kind === 'message' && entry.code === 'UNREACHABLE');
    return message?.text.endsWith('; trying again');
  });
  expect((await ticketOf(h, id)).state).toBe('pending');
  await fake.listen();
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(fake.starts).toHaveLength(1);
});

it('calls what could not be reached by the deadline timed out, naming the hop', async () => {
  const h = await startHarness();
  await h.machine('web-1', { routes: [{ kind: 'path', via: ['eu'] }] });
  h.ports.delete('web-1');
  const id = await submit(h, 'say never', { deadlineS: 1 });
  expect(await h.ended(id)).toMatchObject({ state: 'timed_out', errorCode: 'TASK_DEADLINE' });
  expect(await ticketOf(h, id)).toMatchObject({
    state: 'timed_out',
    errorCode: 'TASK_DEADLINE',
    errorDetail: 'the deadline passed: no path to web-1',
    errorHop: 'eu',
    startedAt: null,
  });
});

it('takes the next route when the first fails, and none that the machine does not have', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', {
    routes: [
      { kind: 'path', via: ['eu'] },
      { kind: 'path', via: ['us'] },
    ],
  });
  h.ports.delete('web-1');
  h.ports.set('us/web-1', fake.port);
  const id = await submit(h, 'say over us');
  expect((await h.ended(id)).state).toBe('succeeded');
  await h.machine('web-2', { routes: [{ kind: 'path', via: ['eu'] }] });
  h.ports.set('asia/web-2', h.ports.get('web-2')!);
  h.ports.delete('web-2');
  const second = await submit(h, 'say over asia', { machines: ['web-2'], deadlineS: 1 });
  expect((await h.ended(second)).state).toBe('timed_out');
});

it('cancels the process, keeps its log, and ends once, however often it is cancelled', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await submit(h, 'say before\nhold\nsay after');
  await waitFor(async () => (await ticketOf(h, id)).storedLine === 1);
  for (let times = 0; times < 3; times += 1) await h.store.transaction((tx) => cancelTask(tx, id, actor));
  expect(await h.ended(id)).toMatchObject({ state: 'cancelled', errorCode: 'CANCELLED' });
  expect(await ticketOf(h, id)).toMatchObject({ state: 'cancelled', storedLine: 1 });
  expect(fake.cancels.length).toBeGreaterThan(0);
  const { items } = await h.store.events.list({ subject: id, limit: 100 });
  expect(items.filter(({ type }) => type === 'task.cancel-requested')).toHaveLength(1);
  expect(items.filter(({ type }) => type === 'task.ended')).toHaveLength(1);
});

it('calls a script interrupted when a cancel is not answered in time, and kills it once its machine is back', async () => {
  const h = await startHarness({ cancelLimitMs: 300, sweepEveryMs: 50 });
  const fake = await h.machine('web-1');
  const id = await submit(h, 'say before\nhold');
  await waitFor(async () => (await ticketOf(h, id)).storedLine === 1);
  await fake.away();
  await h.store.transaction((tx) => cancelTask(tx, id, actor));
  expect((await h.ended(id)).state).toBe('interrupted');
  const { id: ticket } = await ticketOf(h, id);
  const interrupted = { state: 'interrupted', errorHop: 'web-1', completedAt: null };
  expect(await h.store.tickets.get(ticket)).toMatchObject(interrupted);
  expect(fake.script.phase).toBe('RUNNING');
  await fake.listen();
  await waitFor(() => fake.completed.includes(ticket));
  await waitFor(async () => (await h.store.tickets.get(ticket)).completedAt !== null);
  expect(fake.cancels).toContain(ticket);
  // Its end does not change.
  expect(await h.store.tickets.get(ticket)).toMatchObject({
    ...interrupted,
    completedAt: expect.any(Number) as unknown,
  });
});

it('leaves a script alone whose log could not be followed, and that nobody cancelled', async () => {
  const h = await startHarness({ sweepEveryMs: 20 });
  const fake = await h.machine('web-1');
  fake.gap = 1;
  const id = await submit(h, 'many 3\nhold');
  expect((await h.ended(id)).state).toBe('interrupted');
  await waitFor(() => fake.completionCalls > 3);
  expect([fake.script.phase, fake.cancels]).toEqual(['RUNNING', []]);
  fake.script.proceed();
  await waitFor(() => fake.completed.length === 1);
});

it('cancels what was never sent without calling the machine', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  await fake.away();
  const id = await submit(h, 'say never');
  await ticketOf(h, id);
  await h.store.transaction((tx) => cancelTask(tx, id, actor));
  expect((await h.ended(id)).state).toBe('cancelled');
  expect(fake.starts).toEqual([]);
});

it('cancels a script at the deadline and calls the task timed out', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await submit(h, 'say before\nhold', { deadlineS: 1 });
  expect(await h.ended(id)).toMatchObject({ state: 'timed_out', errorCode: 'TASK_DEADLINE' });
  expect(await ticketOf(h, id)).toMatchObject({ state: 'timed_out', storedLine: 1 });
  expect(fake.cancels.length).toBeGreaterThan(0);
});

it('runs from when its machine says so, although it writes nothing', async () => {
  const h = await startHarness({ silentMs: 20 });
  const fake = await h.machine('web-1');
  const id = await submit(h, 'hold\nsay after');
  const { id: ticket } = await ticketOf(h, id);
  await waitFor(async () => (await h.store.tickets.get(ticket)).state === 'running');
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('succeeded');
  const states = (await h.store.taskEvents.stream(id, 0, 100)).flatMap((entry) =>
    entry.kind === 'state' && entry.ticket === ticket ? [entry.text] : [],
  );
  expect(states).toEqual(['sent', 'running', 'succeeded']);
});

it('never tries an interrupted script again', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await submit(h, 'say before\nhold');
  await waitFor(async () => (await ticketOf(h, id)).storedLine === 1);
  fake.script.phase = 'INTERRUPTED';
  fake.script.changed();
  expect((await h.ended(id)).state).toBe('interrupted');
  expect(fake.starts).toHaveLength(1);
});

it('stores overlapping batches once, and no log with a gap', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.batchLines = 10;
  fake.overlap = 4;
  const id = await submit(h, 'many 100');
  expect((await h.ended(id)).state).toBe('succeeded');
  const numbers = Array.from({ length: 100 }, (_, index) => `line ${index + 1}`);
  expect(await h.texts((await ticketOf(h, id)).id)).toEqual(numbers);
  fake.gap = 1;
  const broken = await submit(h, 'many 100');
  expect((await h.ended(broken)).state).toBe('interrupted');
  expect(await ticketOf(h, broken)).toMatchObject({ errorCode: 'LOG_GAP', storedLine: 0 });
});

it('stores what a log says as data, whatever it is', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const lines = [
    '\u0000nul',
    '\u001b]0;title\u0007\u001b[31mred',
    'over\rwritten',
    '\u2028\u202e',
    '</script>',
    'data: x',
    '',
  ];
  const id = await submit(h, 'hold');
  await waitFor(() => fake.scripts.size === 1);
  fake.script.lines.push(...lines);
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(await h.texts((await ticketOf(h, id)).id)).toEqual(lines);
});

it('survives a restart of everything: a hundred scripts, each started once', async () => {
  const h = await startHarness();
  const machines = ['web-1', 'web-2', 'web-3', 'web-4'];
  const fakes = [];
  for (const machine of machines) fakes.push(await h.machine(machine));
  const ids: string[] = [];
  for (let n = 0; n < 25; n += 1) ids.push(await submit(h, 'many 20', { machines }));
  for (let times = 0; times < 3; times += 1) {
    for (const fake of fakes) fake.cut();
    await h.restart();
  }
  for (const id of ids) expect((await h.ended(id)).state).toBe('succeeded');
  for (const fake of fakes) {
    expect(fake.starts).toHaveLength(25);
    expect(new Set(fake.starts).size).toBe(25);
    for (const ticket of fake.starts) expect(await h.texts(ticket)).toHaveLength(20);
  }
});

it('stops silently when another owner has taken over the task', async () => {
  const h = await startHarness({ renewEveryMs: 60_000 });
  const fake = await h.machine('web-1');
  const id = await submit(h, 'say one\nhold\nmany 5');
  await waitFor(async () => (await ticketOf(h, id)).storedLine === 1);
  const taken = await h.store.transaction((tx) =>
    tx.tasks.claimNext({ owner: 'server-2', leaseMs: 60_000, now: Date.now() + 3_600_000 }),
  );
  expect(taken).toMatchObject({ id, epoch: 2 });
  fake.script.proceed();
  await waitFor(() => h.tasks.running === 0);
  // The stale owner stored none of the lines that came after, and ended nothing.
  expect(await ticketOf(h, id)).toMatchObject({ storedLine: 1, state: 'running' });
  expect(await h.store.tasks.get(id)).toMatchObject({ state: 'running', leaseOwner: 'server-2', epoch: 2 });
});

it('gives its leases back when it stops, and continues where it was', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await submit(h, 'many 20\nhold\nmany 20');
  await waitFor(async () => (await ticketOf(h, id)).storedLine === 20);
  await h.tasks.stop();
  expect(await h.store.tasks.get(id)).toMatchObject({ state: 'running', leaseOwner: null, epoch: 1 });
  await h.restart();
  fake.script.proceed();
  expect(await h.ended(id)).toMatchObject({ state: 'succeeded', epoch: 2 });
  expect(fake.starts).toHaveLength(1);
  expect(await h.texts((await ticketOf(h, id)).id)).toHaveLength(40);
});

it('gives no work to a revoked machine, and says so in a request for it', async () => {
  const h = await startHarness();
  await h.machine('web-1', { environments: ['test'] });
  await h.store.transaction((tx) => tx.nodes.revoke('web-1', Date.now()));
  await expect(submit(h, 'say x', { machines: ['web-1'] })).rejects.toMatchObject({
    code: 'MACHINE_REVOKED',
    field: 'machines[0]',
  });
  await expect(submit(h, 'say x', { machines: undefined, environments: ['test'] })).rejects.toMatchObject({
    code: 'NO_TARGETS',
    message: 'every machine in test is left out: web-1 (revoked)',
    remedy: 'Join a revoked machine again.',
  });
});

it('rejects scripts without targets or without a body', async () => {
  const h = await startHarness();
  await h.machine('web-1', { environments: ['test'] });
  await h.machine('db-1', { environments: ['prod'] });
  await expect(submit(h, 'say x', { machines: [] })).rejects.toMatchObject({ code: 'NO_TARGETS', field: 'machines' });
  await expect(submit(h, 'say x', { machines: ['web-9'] })).rejects.toMatchObject({
    code: 'INVALID_FIELD',
    field: 'machines[0]',
  });
  await expect(submit(h, 'say x', { machines: ['web-1'], environments: ['prod'] })).rejects.toMatchObject({
    code: 'SCOPE_MISMATCH',
    message: 'machine web-1 is not in prod',
    field: 'machines[0]',
    action: { code: 'SHOW_EXISTING', arguments: { kind: 'machine', id: 'web-1' } },
  });
  await expect(submit(h, 'say x', { machines: ['web-1'], targetRoles: ['db', 'web'] })).rejects.toMatchObject({
    code: 'SCOPE_MISMATCH',
    message: 'machine web-1 does not have the role db or web',
  });
  await expect(submit(h, 'say x', { machines: undefined, environments: ['moon'] })).rejects.toMatchObject({
    code: 'INVALID_FIELD',
    message: 'there is no environment moon',
    field: 'environments[0]',
  });
  await expect(submit(h, 'say x', { interpreter: 'cobol' })).rejects.toMatchObject({
    code: 'INVALID_FIELD',
    field: 'interpreter',
  });
  await expect(submit(h, '', {})).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'body' });
  await expect(submit(h, 'say x', { deadlineS: 0 })).rejects.toMatchObject({ field: 'deadlineS' });
  const nowhere = { machines: undefined, environments: ['prod', 'test'], targetRoles: ['db'] };
  await expect(submit(h, 'say x', nowhere)).rejects.toMatchObject({
    code: 'NO_TARGETS',
    message: 'there is no machine in prod or test with the role db',
  });
  expect((await h.store.tasks.list({}, { limit: 10 })).items).toEqual([]);
});

it.each([
  ['lines', { lines: 120, bytes: 1_000_000 }, 121],
  ['bytes', { lines: 1_000, bytes: 'line 1'.length * 9 + 'line 10'.length * 11 }, 21],
])('ends a script that logs too many %s: what fits, and a last line that says so', async (_, logQuota, stored) => {
  const h = await startHarness({ logQuota });
  const fake = await h.machine('web-1');
  fake.batchLines = 50;
  const id = await submit(h, 'many 500\nhold');
  expect((await h.ended(id)).state).toBe('failed');
  const ticket = await ticketOf(h, id);
  expect(ticket).toMatchObject({ state: 'failed', errorCode: 'LOG_QUOTA', errorHop: 'web-1', storedLine: stored });
  const lines = await h.store.logLines.read(ticket.id, 0, 1_000);
  expect(lines).toHaveLength(stored);
  expect(lines.at(-2)?.text).toBe(`line ${stored - 1}`);
  expect(lines.at(-1)).toMatchObject({ stream: 'agent', text: expect.stringContaining('quota') as string });
  expect(fake.cancels).toEqual([ticket.id]);
});

it('gives a script no second quota after a restart of the server', async () => {
  const h = await startHarness({ logQuota: { lines: 1_000, bytes: 30 } });
  const fake = await h.machine('web-1');
  const id = await submit(h, 'say 0123456789\nsay 0123456789\nhold\nsay 0123456789\nsay 0123456789');
  await waitFor(async () => (await ticketOf(h, id)).storedLine === 2);
  await h.restart();
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('failed');
  expect(await h.texts((await ticketOf(h, id)).id)).toHaveLength(4);
});
