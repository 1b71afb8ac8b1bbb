// Starts the mesh: the server, then every node as soon as its parent runs. A node that is not enrolled yet joins first,
// with a token of its own, by the same `isthmus join` that an operator runs.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CreatedJoinToken } from '../../contract/join-tokens.ts';
import type { Mesh } from '../../contract/mesh.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { ApiClient } from '../client/client.ts';
import type { ProcessGroup } from './child-processes.ts';
import type { DemoState, StateFolder } from './state.ts';
import { DEMO_MACHINES, DEMO_NODES, DEMO_SITES, listens, routeTo, type DemoNode } from './topology.ts';

export const ENVIRONMENT = 'demo';
export const TARGET_ROLE = 'web';

/** The dialling side pauses up to 5 s between attempts. */
const LINK_LIMIT_MS = 30_000;

export interface MeshContext {
  readonly folder: StateFolder;
  readonly state: DemoState;
  readonly group: ProcessGroup;
}

const loopback = (port: number | undefined): string => `127.0.0.1:${port ?? 0}`;

/** The names of all listeners. */
export function listeners(): string[] {
  return [
    'api',
    'mesh',
    ...DEMO_NODES.filter(listens).map(({ id }) => id),
    ...DEMO_NODES.filter(({ role }) => role === 'mirror').map(({ id }) => `feed ${id}`),
    ...DEMO_MACHINES.map(({ id }) => `web ${id}`),
  ];
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Creates the mesh when there is none, and starts its server. */
export async function startServer({ folder, state, group }: MeshContext): Promise<{ firstTime: boolean }> {
  const data = folder.dataDir('server');
  const firstTime = !(await exists(folder.contextFile));
  if (firstTime) {
    const where = ['--mesh-listen', loopback(state.ports['mesh']), '--api-listen', loopback(state.ports['api'])];
    await group.run(
      'init',
      ['--context', folder.contextFile, 'init', '--data', data, ...where],
      folder.logFile('server'),
    );
  }
  await group.start('server', ['server', 'start', '--data', data], folder.logFile('server'));
  return { firstTime };
}

/** Creates the sites and the environment that do not exist yet. */
export async function createSitesAndEnvironments(client: ApiClient): Promise<void> {
  const sites = new Set((await client.list<{ id: string }>('sites')).map(({ id }) => id));
  for (const { id, description } of DEMO_SITES) {
    if (!sites.has(id)) await client.post('sites', { id, name: id, description });
  }
  const environments = await client.list<{ id: string }>('environments');
  if (!environments.some(({ id }) => id === ENVIRONMENT))
    await client.post('environments', { id: ENVIRONMENT, name: ENVIRONMENT });
}

function tokenFor(node: DemoNode, state: DemoState): object {
  const machine =
    node.role === 'tentacle'
      ? { environments: [ENVIRONMENT], targetRoles: [TARGET_ROLE], routes: [routeTo(node)] }
      : {};
  return {
    role: node.role,
    site: node.site,
    name: node.id,
    parents: [{ node: node.parent, ...(node.dialled ? { dialAddress: loopback(state.ports[node.id]) } : {}) }],
    ...machine,
  };
}

async function joinNode(node: DemoNode, client: ApiClient, { folder, state, group }: MeshContext): Promise<void> {
  const { body: created } = await client.post<CreatedJoinToken>('tokens', tokenFor(node, state));
  const parentPort = state.ports[node.parent === 'server' ? 'mesh' : node.parent];
  const args = [
    ...['join', '--data', folder.dataDir(node.id), '--pin', created.pin, '--token-file', '-'],
    ...(node.dialled ? [] : ['--address', loopback(parentPort)]),
    ...(listens(node) ? ['--listen', loopback(state.ports[node.id])] : []),
  ];
  await group.run(`join of ${node.id}`, args, folder.logFile(node.id), `${created.token}\n`);
}

/**
 * Waits until the server sees the link to a node that was started at `startedAtMs`, and has heard from it since. No
 * node can join through a relay that is not connected.
 */
async function linkUp(client: ApiClient, node: string, startedAtMs: number): Promise<void> {
  const untilMs = performance.now() + LINK_LIMIT_MS;
  for (;;) {
    const { nodes, links } = await client.get<Mesh>('mesh');
    const heard = nodes.some(({ id, lastSeenAt }) => id === node && Number(lastSeenAt) > startedAtMs);
    if (heard && links.some(({ to, state }) => to === node && state === 'up')) return;
    if (performance.now() > untilMs) throw new IsthmusError('COMPONENT_FAILED', `the link to ${node} does not come up`);
    await delay(200);
  }
}

/** Starts every node after its parent, and joins it first when it has no identity. Calls `onStarted` for each. */
export async function startNodes(
  client: ApiClient,
  context: MeshContext,
  onStarted: (node: DemoNode, joined: boolean) => void,
): Promise<void> {
  const { folder, group, state } = context;
  const up = new Map<string, Promise<void>>([['server', Promise.resolve()]]);
  const startNode = async (node: DemoNode): Promise<void> => {
    await up.get(node.parent);
    const data = folder.dataDir(node.id);
    const enrolled = await exists(join(data, 'identity', 'node.json'));
    if (!enrolled) await joinNode(node, client, context);
    // The mirrors are on this machine too, so package addresses are loopback.
    const loopbackFeed = ['mirror', 'tentacle'].includes(node.role) ? ['--feed-loopback', 'true'] : [];
    const feed = node.id === 'mirror-eu' ? ['--feed-listen', loopback(state.ports[`feed ${node.id}`])] : [];
    const startedAtMs = Date.now();
    await group.start(node.id, [node.role, 'start', '--data', data, ...loopbackFeed, ...feed], folder.logFile(node.id));
    if (node.role === 'relay' || node.dialled) await linkUp(client, node.id, startedAtMs);
    onStarted(node, !enrolled);
  };
  // DEMO_NODES lists parents before children.
  for (const node of DEMO_NODES) up.set(node.id, startNode(node));
  await Promise.all(up.values());
}
