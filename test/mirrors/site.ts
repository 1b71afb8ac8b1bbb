// Two tiers of mirrors with a project in production at one of the sites or both, and a server that warms them.
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createSigner, type EnvelopeContent } from '../../certs/signer.ts';
import type { NewWarming, SiteReadiness } from '../../contract/mirrors.ts';
import type { WarmSetting } from '../../contract/warm-setting.ts';
import { versionKey } from '../../lib/package-versions.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { deploymentTask } from '../../server/deployments/task-kind.ts';
import { EventSubscriptions } from '../../server/events/subscriptions.ts';
import { warmSubscription } from '../../server/mirrors/automatic.ts';
import { createMirrorClients } from '../../server/mirrors/clients.ts';
import { Mirrors } from '../../server/mirrors/mirrors.ts';
import { readinessOf, readinessWaiter } from '../../server/mirrors/readiness.ts';
import { scopeOf } from '../../server/mirrors/scope.ts';
import { warmTask } from '../../server/mirrors/warm-run.ts';
import { submitWarming } from '../../server/mirrors/warming.ts';
import { createProject, updateProject } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import type { Task } from '../../server/store/tasks/tasks.ts';
import { stepHandlers } from '../../server/task-kinds.ts';
import { TaskKindRegistry } from '../../server/tasks/kinds.ts';
import { startTasks } from '../../server/tasks/start.ts';
import { createRouteResolver, dispatchRoutes } from '../../server/topology/route-resolver.ts';
import { tiers, type Tiers } from '../packages/tiers.ts';
import { waitFor } from '../support/wait.ts';

export interface WarmSite extends Tiers {
  readonly mesh: Mirrors;
  /** Signs an order as the server does. */
  sign(content: EnvelopeContent): ReturnType<ReturnType<typeof createSigner>['signEnvelope']>;
  warm(more?: Partial<NewWarming>): Promise<Task>;
  /** Creates another release of the same package. */
  release(version: string): Promise<void>;
  setWarm(warm: WarmSetting): Promise<void>;
  /** Deploys 1.0.0 to production, once its sites are ready. */
  deploy(deadlineS: number): Promise<Task>;
  warmings(): Promise<readonly Task[]>;
  readiness(): Promise<readonly SiteReadiness[]>;
  ended(task: Task): Promise<Task>;
  /** Where the packages of a mirror are. */
  folderOf(mirror: 'mirror-eu' | 'mirror-pci'): string;
  /** What it has, by digest. */
  holds(mirror: string): Promise<readonly string[]>;
  /** A line for each message of a task. */
  messages(task: Task): Promise<readonly string[]>;
}

/** Starts it. The targets named are in production, and the release 1.0.0 of shop is for them. */
export async function startWarmSite(targets: readonly string[]): Promise<WarmSite> {
  const built = await tiers();
  const { authority, server, store, topology } = built;
  const log = silentLogger();
  const signer = createSigner(authority.authority, 'server-1');
  const sign = (content: EnvelopeContent) => signer.signEnvelope(content);
  const clients = createMirrorClients((options) => server.mesh.dial(options));
  onTestFinished(() => clients.close());
  for (const id of ['mirror-eu', 'mirror-pci']) {
    const what = `the report of ${id}`;
    await waitFor(() => typeof topology.nodes.get(id)?.softwareVersion === 'string', { what });
  }
  const routesOf = dispatchRoutes(createRouteResolver(topology));
  const mirrors = new Mirrors({ topology, clients, routesOf, sign });
  await store.transaction(async (tx) => {
    await tx.environments.insert({ id: 'production', name: '', description: '', createdAt: 0 });
    for (const id of targets) {
      await tx.machines.insert({
        ...{ id, name: id, site: id.startsWith('t-pci') ? 'eu-pci' : 'eu', environments: ['production'] },
        ...{ targetRoles: ['web'], routes: [{ kind: 'auto' }], createdAt: 0 },
      });
    }
    const steps = [{ kind: 'package' as const, name: 'web', targetRoles: ['web'], package: { id: 'web' } }];
    await createProject(tx, stepHandlers(), { id: 'shop', steps }, 'tester');
    await createRelease(tx, stepHandlers(), 'shop', { version: '1.0.0' }, 'tester');
  });
  const steps = stepHandlers();
  const { sealer } = authority;
  const findSources = () => Promise.resolve({ sources: [], downloadToken: '' });
  const untilReady = readinessWaiter({ mirrors, store });
  const kinds = new TaskKindRegistry()
    .registerTaskKind(warmTask({ mirrors }))
    .registerTaskKind(deploymentTask({ store, sealer, steps, findSources, untilReady }));
  const events = new EventSubscriptions({ store, log });
  events.subscribe('warming', warmSubscription(mirrors));
  await events.start();
  onTestFinished(() => events.stop());
  const tasks = startTasks({
    ...{ store, kinds, sign, routesOf, log, nodeId: 'server-1', journalGeneration: () => 0 },
    dial: (options) => server.mesh.dial(options),
  });
  onTestFinished(() => tasks.stop());
  return {
    ...built,
    mesh: mirrors,
    sign,
    async warm(more = {}) {
      const request = { project: 'shop', release: '1.0.0', ...more };
      const task = await store.transaction((tx) => submitWarming(tx, mirrors, request, 'tester'));
      tasks.wake();
      return task;
    },
    async release(version) {
      await store.transaction((tx) => createRelease(tx, steps, 'shop', { version }, 'tester'));
    },
    async setWarm(warm) {
      await store.transaction(async (tx) => {
        const { version } = await tx.projects.get('shop');
        await updateProject(tx, { id: 'shop', version }, { warm }, 'tester');
      });
    },
    async deploy(deadlineS) {
      const request = { project: 'shop', release: '1.0.0', environment: 'production', deadlineS, whenReady: true };
      const task = await store.transaction((tx) => submitDeployment(tx, { sealer, steps }, request, 'tester'));
      tasks.wake();
      return task;
    },
    async warmings() {
      const behind = async () => (await events.status()).some((each) => each.behind > 0);
      await waitFor(async () => !(await behind()), { what: 'the subscription' });
      const { items } = await store.tasks.list({ kind: 'warm' }, { limit: 100 });
      return items;
    },
    async readiness() {
      const release = await store.releases.findVersion('shop', versionKey('1.0.0'));
      return readinessOf(mirrors, await scopeOf(store, release!, {}));
    },
    async ended({ id }) {
      await waitFor(async () => (await store.tasks.get(id)).endedAt !== null, { what: 'the end of the warming' });
      return store.tasks.get(id);
    },
    folderOf: (mirror) => join(built.mirrors[mirror].dataDir, 'packages'),
    async holds(mirror) {
      const { packages } = await mirrors.list(mirror, { limit: 100 });
      return packages.map(({ sha256 }) => sha256);
    },
    async messages({ id }) {
      return (await store.taskEvents.stream(id, 0, 500)).map(({ text }) => text ?? '');
    },
  };
}
