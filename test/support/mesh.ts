// Meshes of several nodes in one process, on port 0: a server, a chain of relays, a tentacle at the end.
import { onTestFinished } from 'vitest';
import type { NodeRole } from '../../contract/nodes.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMesh, type MeshDeps } from '../../mesh/mesh.ts';
import type { MeshLimits } from '../../mesh/limits.ts';
import type { Mesh, MeshConfig } from '../../mesh/types.ts';
import { createTestMesh, type TestMesh, type TestNode } from './identities.ts';
import { waitFor } from './wait.ts';
import { TEST_SERVICES } from './services.ts';

export interface StartedNode extends TestNode {
  readonly name: string;
  readonly mesh: Mesh;
}

/** Starts one node; it stops when the test ends. */
export async function startNode(
  authority: TestMesh,
  name: string,
  role: NodeRole,
  config: Partial<MeshConfig> = {},
  limits: Partial<MeshLimits> = {},
  existing?: TestNode & Pick<MeshDeps, 'windows'>,
): Promise<StartedNode> {
  const node = existing ?? (await authority.node(name, role));
  const mesh = await createMesh(
    { listen: '127.0.0.1:0', parents: [], dials: [], ...config },
    {
      identity: node.identity,
      revocations: node.revocations,
      log: silentLogger(),
      relaying: role === 'relay' || role === 'server',
      services: TEST_SERVICES,
      softwareVersion: 'test',
      limits: { backoffBaseMs: 20, ...limits },
      windows: existing?.windows,
    },
  );
  onTestFinished(() => mesh.stop());
  return { ...node, name, mesh };
}

/** Waits until the two have a live link with each other. */
export async function linked(upper: StartedNode, lower: StartedNode): Promise<void> {
  await waitFor(
    () =>
      upper.mesh.links().some((link) => link.peer === lower.name && link.up) &&
      lower.mesh.links().some((link) => link.peer === upper.name && link.up),
    { what: `the link of ${upper.name} and ${lower.name}` },
  );
}

export type Dialling = 'down' | 'up';

export interface Chain {
  readonly authority: TestMesh;
  readonly server: StartedNode;
  readonly relays: readonly StartedNode[];
  readonly tentacle: StartedNode;
  /** The relays' names, from the server's side. */
  readonly path: readonly string[];
}

/** A server, `hops` relays and a tentacle in a row; every link is dialled in the same direction. */
export async function startChain(hops: number, dialling: Dialling, limits: Partial<MeshLimits> = {}): Promise<Chain> {
  const authority = await createTestMesh();
  const names = [...Array.from({ length: hops }, (_, i) => `relay-${i + 1}`), 'tentacle-1'];
  const server = await startNode(authority, 'server-1', 'server', {}, limits);
  const nodes: StartedNode[] = [server];
  for (const name of names) {
    const above = nodes.at(-1)!;
    const role: NodeRole = name === 'tentacle-1' ? 'tentacle' : 'relay';
    const parent = dialling === 'up' ? { node: above.name, address: above.mesh.address! } : { node: above.name };
    const node = await startNode(authority, name, role, { parents: [parent] }, limits);
    if (dialling === 'down') above.mesh.assignDials([{ node: name, address: node.mesh.address! }]);
    nodes.push(node);
  }
  for (let i = 1; i < nodes.length; i += 1) await linked(nodes[i - 1]!, nodes[i]!);
  return { authority, server, relays: nodes.slice(1, -1), tentacle: nodes.at(-1)!, path: names.slice(0, -1) };
}
