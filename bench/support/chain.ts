// Starts a chain of real mesh processes, on loopback or in the lab: an origin (with a server's identity), relays, and
// targets behind any of them.
import { join } from 'node:path';
import type { NodeRole } from '../../contract/nodes.ts';
import { createTestMesh, type TestMesh } from '../../test/support/identities.ts';
import { waitFor } from '../../test/support/wait.ts';
import type { Spawner } from '../../test/support/spawner.ts';
import { BenchChild } from './child.ts';

const script = join(import.meta.dirname, '../children/mesh-node.ts');

export interface NodePlan {
  readonly role: NodeRole;
  /** The node it dials; the origin has none. */
  readonly parent?: string;
  /** The host part of its own address. */
  readonly host?: string;
  /** Where its parent is reached, if not at the parent's `host`. */
  readonly parentHost?: string;
  readonly spawner?: Spawner;
}

/** Running mesh nodes by name. */
export interface MeshProcesses {
  readonly mesh: TestMesh;
  node(name: string): BenchChild;
  stop(): Promise<void>;
}

/** Starts the nodes in order, parents first, and waits until every link is up. */
export async function startMesh(plan: Readonly<Record<string, NodePlan>>): Promise<MeshProcesses> {
  const removals: (() => void)[] = [];
  const mesh = await createTestMesh('bench', (remove) => void removals.push(remove));
  const children = new Map<string, BenchChild>();
  const ports = new Map<string, string>();
  const running: MeshProcesses = {
    mesh,
    node(name) {
      const child = children.get(name);
      if (child === undefined) throw new Error(`no node ${name}`);
      return child;
    },
    async stop() {
      await Promise.all([...children.values()].map((child) => child.stop()));
      for (const remove of removals) remove();
    },
  };
  try {
    for (const [name, { role, parent, host = '127.0.0.1', parentHost, spawner }] of Object.entries(plan)) {
      const { dataDir } = await mesh.node(name, role);
      const child = BenchChild.start(script, spawner);
      children.set(name, child);
      const reached = parent === undefined ? undefined : (parentHost ?? plan[parent]?.host ?? '127.0.0.1');
      const parents = parent === undefined ? [] : [{ node: parent, address: `${reached}:${ports.get(parent)}` }];
      const config = { listen: `${host}:0`, parents, dials: [] };
      const address = await child.ask<string>('start', { dataDir, config, relaying: role === 'relay' });
      ports.set(name, address.slice(address.lastIndexOf(':') + 1));
      if (parent === undefined) continue;
      await waitFor(() => child.ask<boolean>('linksUp'), { what: `the link of ${name}`, limitMs: 20_000 });
    }
    return running;
  } catch (thrown) {
    await running.stop();
    throw thrown;
  }
}
