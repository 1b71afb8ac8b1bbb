// Two tiers of mirrors with a project in production at one of the sites or both, and a server that warms them.
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createSigner, type EnvelopeContent } from '../../certs/signer.ts';
import type { NewWarming } from '../../contract/mirrors.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMirrorClients } from '../../server/mirrors/clients.ts';
import { Mirrors } from '../../server/mirrors/mirrors.ts';
import { warmTask } from '../../server/mirrors/warm-run.ts';
import { submitWarming } from '../../server/mirrors/warming.ts';
import { createProject } from '../../server/projects/projects.ts';
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
  const kinds = new TaskKindRegistry().registerTaskKind(warmTask({ mirrors }));
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
