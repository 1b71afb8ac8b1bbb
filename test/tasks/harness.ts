// A store, the whole task engine and fake tentacles in one process, over real sockets.
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { createSigner } from '../../certs/signer.ts';
import type { IsthmusError } from '../../contract/errors.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import { END_STATES } from '../../contract/tasks.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMasterKey, type Sealer } from '../../lib/secrets/seal.ts';
import type { StepHandlerRegistry } from '../../server/deployments/steps/handler.ts';
import { EventSubscriptions } from '../../server/events/subscriptions.ts';
import { ReportedHealth } from '../../server/health/reported-health.ts';
import { startHealth } from '../../server/health/start.ts';
import { createRouteResolver } from '../../server/topology/route-resolver.ts';
import { openLiveTopology, type LiveTopology } from '../../server/topology/live.ts';
import type { Task } from '../../server/store/tasks/tasks.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { submitScript, type ScriptRequest } from '../../server/scripts/script-task.ts';
import { stepHandlers, taskKinds } from '../../server/task-kinds.ts';
import type { UpgradeDeps } from '../../server/upgrades/node-upgrade.ts';
import type { RoutesOf } from '../../server/tasks/routes.ts';
import type { TaskKindRegistry } from '../../server/tasks/kinds.ts';
import { startTasks, type Tasks } from '../../server/tasks/start.ts';
import { dialFakes, FakeTentacle, unsigned } from '../support/fake-tentacle.ts';
import type { TestMesh } from '../support/identities.ts';
import { storedRoutes } from '../support/stored-routes.ts';
import { noUpgrades } from '../support/no-upgrades.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

export interface Harness {
  readonly store: Store;
  readonly topology: LiveTopology;
  readonly reported: ReportedHealth;
  readonly sealer: Sealer;
  readonly kinds: TaskKindRegistry;
  readonly steps: StepHandlerRegistry;
  /** Ports by machine, or by path and machine: `eu/web-1`. */
  readonly ports: Map<string, number>;
  /** While it is set, a hop on the path answers every dial with this. */
  denial: IsthmusError | undefined;
  /** Machines whose dials are neither answered nor denied, with how many there were. */
  readonly unanswered: Map<string, number>;
  readonly dataDir: string;
  tasks: Tasks;
  /** A machine with its fake tentacle. */
  machine(
    id: string,
    given?: { roles?: string[]; routes?: MachineRoute[]; environments?: string[] },
  ): Promise<FakeTentacle>;
  /** The task once it has ended. */
  ended(id: string): Promise<Task>;
  texts(ticket: string): Promise<string[]>;
  restart(): Promise<void>;
}

export const actor = 'key-1';

type Dial = Parameters<typeof startTasks>[0]['dial'];
export type Tunables = NonNullable<Parameters<typeof startTasks>[0]['tunables']>;

export const quick: Tunables = { retryBaseMs: 5, retryCapMs: 40, pollEveryMs: 50, dialDeadlineMs: 2_000 };

interface Given {
  readonly journalGeneration?: () => number;
  readonly healthCheckIntervalS?: number;
  readonly upgrades?: Partial<UpgradeDeps>;
  readonly routesOf?: RoutesOf;
  /** Registers task kinds and step kinds beside those of the product. */
  readonly register?: (registries: Pick<Harness, 'kinds' | 'steps'>) => void;
}

export async function startHarness(tunables: Tunables = {}, given: Given = {}): Promise<Harness> {
  const dataDir = await tempDir();
  const sealer = createMasterKey({ dataDir });
  const store = await openStore({ dataDir, log: silentLogger() });
  const topology = await openLiveTopology(store);
  const reported = new ReportedHealth({ topology, resolver: createRouteResolver(topology) });
  const ports = new Map<string, number>();
  const dialFake = dialFakes(() => ports);
  const steps = stepHandlers();
  const kinds = taskKinds({ ...noUpgrades, store, sealer, steps, findSources: anySource, ...given.upgrades });
  given.register?.({ kinds, steps });
  const log = silentLogger();
  const start = (): Tasks => {
    const tasks = startTasks({
      store,
      kinds,
      dial: async (options) => {
        if (harness.denial !== undefined) throw harness.denial;
        const dials = harness.unanswered.get(options.node);
        if (dials !== undefined && options.signal !== undefined) {
          harness.unanswered.set(options.node, dials + 1);
          await once(options.signal, 'abort');
        }
        return dialFake(options);
      },
      sign: unsigned,
      routesOf: given.routesOf ?? storedRoutes(store),
      journalGeneration: given.journalGeneration ?? (() => 0),
      log,
      nodeId: 'server-1',
      tunables: { ...quick, ...tunables },
    });
    const intervalS = given.healthCheckIntervalS;
    if (intervalS === undefined) return tasks;
    const events = new EventSubscriptions({ store, log });
    const health = startHealth({ store, topology, events, reported, shared: tasks.shared, log, intervalS });
    const started = events.start();
    return {
      ...tasks,
      get running() {
        return tasks.running;
      },
      async stop() {
        await started;
        await events.stop();
        await health.stop();
        await tasks.stop();
      },
    };
  };
  const harness: Harness = {
    store,
    topology,
    reported,
    sealer,
    kinds,
    steps,
    ports,
    denial: undefined,
    unanswered: new Map(),
    dataDir,
    tasks: start(),
    async machine(id, { roles = [], routes = direct, environments = ['prod'] } = {}) {
      const fake = await new FakeTentacle(id).listen();
      onTestFinished(() => fake.stop());
      ports.set(id, fake.port);
      await addMachine(store, id, { roles, routes, environments });
      return fake;
    },
    ended: (id) => ended(store, id),
    texts: async (ticket) => (await store.logLines.read(ticket, 0, 100_000)).map(({ text }) => text),
    async restart() {
      await harness.tasks.stop();
      harness.tasks = start();
    },
  };
  onTestFinished(async () => {
    await harness.tasks.stop();
    await store.close();
  });
  return harness;
}

const direct: MachineRoute[] = [{ kind: 'direct' }];

/** The task engine over a real mesh, with signed envelopes, for real tentacles; it stops when the test ends. */
export function startRealTasks(store: Store, authority: TestMesh, dial: Dial): Tasks {
  const signer = createSigner(authority.authority, 'server-1');
  const nowhere = () => Promise.resolve({ sources: [], downloadToken: '' });
  const kinds = taskKinds({
    ...noUpgrades,
    store,
    sealer: authority.sealer,
    steps: stepHandlers(),
    findSources: nowhere,
  });
  const tasks = startTasks({
    store,
    kinds,
    dial,
    sign: (content) => signer.signEnvelope(content),
    routesOf: storedRoutes(store),
    journalGeneration: () => 0,
    log: silentLogger(),
    nodeId: 'server-1',
    tunables: { retryBaseMs: 20, retryCapMs: 200 },
  });
  onTestFinished(() => tasks.stop());
  return tasks;
}

const anySource = () => Promise.resolve({ sources: [{ node: 'mirror-eu' }], downloadToken: 'downloadToken' });

/** Inserts a machine, with the site and environments that it needs. */
export async function addMachine(
  store: Store,
  id: string,
  { roles, routes, environments }: { roles: string[]; routes: MachineRoute[]; environments: string[] },
): Promise<void> {
  const createdAt = Date.now();
  await store.transaction(async (tx) => {
    const named = { name: '', description: '', createdAt };
    if ((await tx.sites.find('eu')) === undefined) await tx.sites.insert({ id: 'eu', ...named });
    for (const environment of environments) {
      if ((await tx.environments.find(environment)) === undefined) {
        await tx.environments.insert({ id: environment, ...named });
      }
    }
    await tx.nodes.insert({
      id,
      role: 'tentacle',
      site: 'eu',
      parents: [{ node: 'server', dialAddress: null }],
      certificateNotAfter: null,
      createdAt,
    });
    await tx.nodes.recordLastSeen(id, { softwareVersion: SOFTWARE_VERSION });
    await tx.machines.insert({ id, name: id, site: 'eu', environments, targetRoles: roles, routes, createdAt });
  });
}

/** Submits a script, by default for web-1; returns its task's id. */
export async function submit(h: Harness, body: string, more: Partial<ScriptRequest> = {}): Promise<string> {
  const request = { body, machines: ['web-1'], ...more };
  return (await h.store.transaction((tx) => submitScript(tx, request, actor))).id;
}

/** The first ticket of a task, once it exists. */
export async function ticketOf(h: Harness, task: string) {
  const [ticket] = await waitFor(async () => {
    const tickets = await h.store.tickets.byTask(task);
    return tickets.length > 0 && tickets;
  });
  return ticket!;
}

/** Waits for a task's end. */
export async function ended(store: Store, id: string, limitMs = 20_000): Promise<Task> {
  let last: Task | undefined;
  return waitFor(
    async () => {
      last = await store.tasks.get(id);
      return (END_STATES as readonly string[]).includes(last.state) ? last : undefined;
    },
    { limitMs, what: `the end of task ${id}` },
  ).catch((thrown: unknown) => {
    throw new Error(`${String(thrown)}; state ${last?.state}, epoch ${last?.epoch}`);
  });
}
