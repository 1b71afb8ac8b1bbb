// The real tentacle and real bash behind two real relays: the witness file has each script once, whatever happens on
// the path.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { Task } from '../../server/store/tasks/tasks.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { submitScript } from '../../server/scripts/script-task.ts';
import type { MachineHealth } from '../../server/health/judgement.ts';
import { submitHealthCheck } from '../../server/health/health-task.ts';
import { start as startTentacle } from '../../tentacle/start.ts';
import { isAlive } from '../support/alive.ts';
import { createTestMesh } from '../support/identities.ts';
import { linked, startNode, type StartedNode } from '../support/mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { actor, addMachine, ended, startRealTasks } from './harness.ts';

const via = ['eu', 'eu-pci'];

interface Site {
  readonly store: Store;
  readonly witness: string;
  readonly upper: StartedNode;
  run(body: string): Promise<string>;
  texts(task: string): Promise<string[]>;
  restartTentacle(): Promise<void>;
}

async function site(): Promise<Site> {
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const upper = await startNode(authority, 'eu', 'relay', {
    parents: [{ node: 'server-1', address: server.mesh.address! }],
  });
  const lower = await startNode(authority, 'eu-pci', 'relay', {
    parents: [{ node: 'eu', address: upper.mesh.address! }],
  });
  await linked(server, upper);
  await linked(upper, lower);
  const { dataDir } = await authority.node('web-1', 'tentacle', { site: 'eu' });
  const config = { dataDir, parents: [{ node: 'eu-pci', address: lower.mesh.address! }] };
  let tentacle = await startTentacle(config, { log: silentLogger() });
  onTestFinished(() => tentacle.stop());
  const folder = await tempDir();
  const store = await openStore({ dataDir: folder, log: silentLogger() });
  onTestFinished(() => store.close());
  await addMachine(store, 'web-1', { roles: [], routes: [{ kind: 'path', via }], environments: ['prod'] });
  startRealTasks(store, authority, (options) => server.mesh.dial(options));
  return {
    store,
    witness: join(folder, 'witness'),
    upper,
    run: async (body) => (await store.transaction((tx) => submitScript(tx, { body, machines: ['web-1'] }, actor))).id,
    async texts(task) {
      const [ticket] = await store.tickets.byTask(task);
      const lines = await store.logLines.read(ticket!.id, 0, 100_000);
      expect(lines.map(({ line }) => line)).toEqual(lines.map((_, index) => index + 1));
      return lines.map(({ text }) => text);
    },
    async restartTentacle() {
      await tentacle.stop();
      tentacle = await startTentacle(config, { log: silentLogger() });
    },
  };
}

const witnessed = async ({ witness }: Site) => (await readFile(witness, 'utf8')).trim().split('\n');

it('runs real bash behind two relays', async () => {
  const at = await site();
  const id = await at.run(
    `echo "$ISTHMUS_TASK" >> ${at.witness}; for i in $(seq 1 300); do echo "line $i"; done; exit 4`,
  );
  expect(await ended(at.store, id)).toMatchObject({ state: 'failed' });
  expect(await at.texts(id)).toEqual(Array.from({ length: 300 }, (_, index) => `line ${index + 1}`));
  expect(await at.store.tickets.byTask(id)).toMatchObject([
    { state: 'failed', exitCode: 4, errorCode: 'SCRIPT_FAILED' },
  ]);
  expect(await witnessed(at)).toEqual([id]);
});

it('continues when the agent is restarted while the script runs', async () => {
  const at = await site();
  const latch = `${at.witness}.go`;
  const id = await at.run(
    `echo "$ISTHMUS_TASK" >> ${at.witness}; seq 1 200; until [ -e ${latch} ]; do sleep 0.05; done; seq 201 400; echo open > ${latch}.done`,
  );
  await waitFor(async () => (await at.store.tickets.byTask(id))[0]?.storedLine === 200);
  await at.restartTentacle();
  const opened = await at.run(`touch ${latch}`);
  expect((await ended(at.store, opened)).state).toBe('succeeded');
  expect((await ended(at.store, id)).state).toBe('succeeded');
  expect(await at.texts(id)).toEqual(Array.from({ length: 400 }, (_, index) => String(index + 1)));
  expect(await witnessed(at)).toEqual([id]);
});

it('kills the whole process group on a cancel', async () => {
  const at = await site();
  const id = await at.run(`sleep 1000 & echo $! > ${at.witness}; echo started; wait`);
  await waitFor(async () => (await at.store.tickets.byTask(id))[0]?.storedLine === 1);
  const pid = Number((await witnessed(at))[0]);
  await at.store.transaction((tx) => cancelTask(tx, id, actor));
  expect((await ended(at.store, id)).state).toBe('cancelled');
  expect(isAlive(pid)).toBe(false);
});

it('ends a script once and reports the truth, whenever it is cancelled around its own end', async () => {
  const at = await site();
  const body = `echo "$ISTHMUS_TASK begun" >> ${at.witness}; echo $$; echo "$ISTHMUS_TASK done" >> ${at.witness}`;
  const order = { body, machines: ['web-1'], isolation: 'shared' } as const;
  const cancelledAfter = async (ms: number): Promise<Task> => {
    const { id } = await at.store.transaction((tx) => submitScript(tx, order, actor));
    await setTimeout(ms);
    await at.store.transaction((tx) => cancelTask(tx, id, actor));
    return ended(at.store, id);
  };
  const tasks: Task[] = [];
  // From before it begins to after it has ended, however long that takes on this machine.
  for (let stepMs = 5; tasks.every(({ state }) => state !== 'succeeded'); stepMs *= 2) {
    tasks.push(...(await Promise.all(Array.from({ length: 60 }, (_, index) => cancelledAfter(index * stepMs)))));
  }
  const seen = await witnessed(at);
  for (const { id, state } of tasks) {
    const said = (what: string) => seen.filter((line) => line === `${id} ${what}`).length;
    const entries = await at.store.taskEvents.stream(id, 0, 100);
    const states = entries.flatMap(({ kind, text, machine }) => (kind === 'state' && machine === null ? [text] : []));
    expect(states.filter((text) => text === 'succeeded' || text === 'cancelled')).toEqual([state]);
    const tickets = await at.store.tickets.byTask(id);
    for (const ticket of tickets) expect(ticket.state).toBe(state);
    expect(said('begun')).toBeLessThanOrEqual(1);
    if (state === 'succeeded') expect(said('done')).toBe(1);
    for (const pid of tickets.length === 0 ? [] : await at.texts(id)) expect(isAlive(Number(pid))).toBe(false);
  }
  expect(new Set(tasks.map(({ state }) => state))).toEqual(new Set(['succeeded', 'cancelled']));
});

it('checks health beside a running script, and names the relay when it is gone', async () => {
  const at = await site();
  const script = await at.run(`touch ${at.witness}; echo started; while [ -e ${at.witness} ]; do sleep 0.05; done`);
  await waitFor(async () => (await at.store.tickets.byTask(script))[0]?.storedLine === 1);
  const check = () => at.store.transaction((tx) => submitHealthCheck(tx, { machines: ['web-1'] }, actor));
  await ended(at.store, (await check()).id);
  const healthy = await at.store.machines.get('web-1');
  expect(healthy.healthReport).toMatchObject({ facts: { runningScripts: 1 } });
  await at.upper.mesh.stop();
  await ended(at.store, (await check()).id, 40_000);
  const { healthReport } = await at.store.machines.get('web-1');
  expect(healthReport).toMatchObject({ health: 'unreachable' });
  expect(['eu', 'server-1']).toContain((healthReport as MachineHealth).hop);
  expect((await at.store.tasks.get(script)).state).toBe('running');
  // Nothing reaches the machine any more; the script ends with the witness file.
  await rm(at.witness);
});
