// A server process with only its store and its tasks, for tests that kill it. Arguments: the data folder and a JSON
// object { ports, submit?, deploy?, engine } — `submit` is a script's body for web-1. Prints the task's id once it is
// accepted, and `idle` once no task is open.
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMasterKey } from '../../lib/secrets/seal.ts';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { openStore } from '../../server/store/store.ts';
import { submitScript } from '../../server/scripts/script-task.ts';
import { stepHandlers, taskKinds } from '../../server/task-kinds.ts';
import { startTasks } from '../../server/tasks/start.ts';
import { dialFakes, unsigned } from '../support/fake-tentacle.ts';
import { storedRoutes } from '../support/stored-routes.ts';
import { noUpgrades } from '../support/no-upgrades.ts';
import '../support/keep-compiled.ts';

export interface CrashPlan {
  readonly ports: Readonly<Record<string, number>>;
  /** Accept this script. */
  readonly submit?: string;
  /** Accept a deployment of this project, its release 1.0.0, to prod. */
  readonly deploy?: string;
  /** Run tasks, or only accept them. */
  readonly engine: boolean;
}

const [dataDir = '', plan = '{}'] = process.argv.slice(2);
const { ports, submit, deploy, engine } = JSON.parse(plan) as CrashPlan;
const store = await openStore({ dataDir, log: silentLogger() });
const sealer = createMasterKey({ dataDir });
const steps = stepHandlers();

if (engine) {
  startTasks({
    store,
    kinds: taskKinds({
      ...noUpgrades,
      store,
      sealer,
      steps,
      findSources: () => Promise.resolve({ sources: [], downloadToken: '' }),
    }),
    dial: dialFakes(() => new Map(Object.entries(ports))),
    sign: unsigned,
    routesOf: storedRoutes(store),
    journalGeneration: () => 0,
    log: silentLogger(),
    nodeId: 'server-1',
    tunables: { retryBaseMs: 5, retryCapMs: 40 },
  });
}
if (submit !== undefined) {
  const task = await store.transaction((tx) => submitScript(tx, { body: submit, machines: ['web-1'] }, 'key-1'));
  process.stdout.write(`${task.id}\n`);
}
if (deploy !== undefined) {
  const request = { project: deploy, release: '1.0.0', environment: 'prod' };
  const task = await store.transaction((tx) => submitDeployment(tx, { sealer, steps }, request, 'key-1'));
  process.stdout.write(`${task.id}\n`);
}
if (engine) {
  const timer = setInterval(() => {
    void store.tasks.openCount().then((open) => {
      if (open > 0) return;
      clearInterval(timer);
      process.stdout.write('idle\n');
    });
  }, 20);
}
// Lives until it is killed, even without an engine.
setInterval(() => undefined, 60_000);
