// What a commit changed of the mesh: rows of nodes, and routes of machines. The rows are read back before the commit and
// handed out with it, so that a view in memory is right at once and never has to ask the database again.
import type { Executor } from './base.ts';
import { changedIds } from './changed.ts';
import { MachineRepository } from './inventory/machines.ts';
import { NodeRepository, type Node } from './nodes/nodes.ts';
import type { Route } from './inventory/routes.ts';

export interface MeshChange {
  readonly nodes: readonly Node[];
  /** By machine; undefined once the machine is deleted. */
  readonly routes: ReadonlyMap<string, readonly Route[] | undefined>;
}

export type MeshChangeListener = (change: MeshChange) => void;

/** Reads what this transaction has changed; undefined when it left the mesh as it was. */
export async function readMeshChange(tx: Executor): Promise<MeshChange | undefined> {
  const { nodes, machines } = changedIds(tx);
  if (nodes.size === 0 && machines.size === 0) return undefined;
  const routes = await new MachineRepository(tx).routesOf([...machines]);
  return {
    nodes: await new NodeRepository(tx).byIds([...nodes]),
    routes: new Map([...machines].map((id) => [id, routes.get(id)])),
  };
}
