// The clock of the server's machine is set while tasks run and wait: nothing is cut short, and what was left of each
// deadline is left still.
import { expect, it, onTestFinished, vi } from 'vitest';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { createProject } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { retryTask } from '../../server/tasks/retry.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, submit, type Harness } from './harness.ts';

const HOUR_MS = 3_600_000;
const DEADLINE_S = 1_800;

/** Sets the time of day, as every module of this process sees it; the pace of time stays. */
function settableClock(): (offsetMs: number) => void {
  const now = Date.now;
  let offsetMs = 0;
  const mock = vi.spyOn(Date, 'now').mockImplementation(() => now() + offsetMs);
  onTestFinished(() => mock.mockRestore());
  return (byMs) => (offsetMs = byMs);
}

async function deploy(h: Harness): Promise<string> {
  const request = { project: 'shop', release: '1.0.0', environment: 'prod', deadlineS: DEADLINE_S };
  return (await h.store.transaction((tx) => submitDeployment(tx, h, request, actor))).id;
}

async function leftS(h: Harness, id: string): Promise<number> {
  return ((await h.store.tasks.get(id)).deadlineAt - Date.now()) / 1000;
}

const jumps = async (h: Harness) => (await h.store.events.list({ type: 'clock.jumped', limit: 100 })).items;

it.each([HOUR_MS, -HOUR_MS, 25 * HOUR_MS, -25 * HOUR_MS])('set by %i ms, and right again', async (byMs) => {
  const setClock = settableClock();
  const h = await startHarness();
  const fake = await h.machine('web-1');
  await h.store.transaction(async (tx) => {
    const step = { name: 'check', kind: 'script', targetRoles: [], script: { interpreter: 'bash', body: 'hold' } };
    await createProject(tx, h.steps, { id: 'shop', steps: [step] }, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
  });
  const ids = [await submit(h, 'hold', { deadlineS: DEADLINE_S }), await deploy(h)];
  await waitFor(() => fake.scripts.size === 2);
  const queued = await deploy(h);

  for (const [offsetMs, count] of [
    [byMs, 1],
    [0, 2],
  ] as const) {
    setClock(offsetMs);
    // Accepted by the clock as it is now, before anybody has noticed.
    const late = await submit(h, 'say late', { deadlineS: DEADLINE_S });
    expect((await h.ended(late)).state).toBe('succeeded');
    await waitFor(async () => (await jumps(h)).length === count);
    for (const id of [...ids, queued]) {
      expect((await h.store.tasks.get(id)).endedAt).toBeNull();
      expect(await leftS(h, id)).toBeGreaterThan(DEADLINE_S - 60);
      expect(await leftS(h, id)).toBeLessThanOrEqual(DEADLINE_S);
    }
  }
  const near = (ms: number) => expect.closeTo(ms, -3) as number;
  const told = { actor: 'system', subject: 'server-1' };
  expect(await jumps(h)).toMatchObject([
    { ...told, data: { byMs: near(byMs) } },
    { ...told, data: { byMs: near(-byMs) } },
  ]);

  for (const script of fake.scripts.values()) script.proceed();
  await waitFor(() => fake.scripts.size === 5);
  for (const script of fake.scripts.values()) script.proceed();
  // Never claimed anew: the lease has not expired either.
  for (const id of [...ids, queued]) expect(await h.ended(id)).toMatchObject({ state: 'succeeded', epoch: 1 });
  expect(fake.starts).toHaveLength(5);
  expect(fake.cancels).toEqual([]);
});

it('a retry allows the time that was requested, whatever the clock did', async () => {
  const setClock = settableClock();
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await submit(h, 'hold\nexit 1', { deadlineS: DEADLINE_S });
  await waitFor(() => fake.scripts.size === 1);
  setClock(-HOUR_MS);
  await waitFor(async () => (await jumps(h)).length === 1);
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('failed');
  const again = await h.store.transaction((tx) => retryTask(tx, h.kinds, id, actor));
  expect(again.deadlineAt - again.createdAt).toBe(DEADLINE_S * 1000);
  [...fake.scripts.values()].at(-1)!.proceed();
});
