// What a commit changed in the mesh: nodes, and routes of machines. The rows are read before the commit and passed to
// listeners after it, so that a view in memory is current at once without reading the database.
import type { MachineRoute } from '../../contract/machines.ts';
import type { Executor } from './base.ts';
import { changedIds } from './changed.ts';
import { MachineRepository } from './inventory/machines.ts';
import { NodeRepository, type Node } from './nodes/nodes.ts';

export interface MeshChange {
  readonly nodes: readonly Node[];
  /** By machine; undefined once the machine is deleted. */
  readonly routes: ReadonlyMap<string, readonly MachineRoute[] | undefined>;
}

export type MeshChangeListener = (change: MeshChange) => void;

/** Reads what this transaction has changed; undefined when it did not change the mesh. */
export async function readMeshChange(tx: Executor): Promise<MeshChange | undefined> {
  const { nodes, machines } = changedIds(tx);
  if (nodes.size === 0 && machines.size === 0) return undefined;
  const routes = await new MachineRepository(tx).routesOf([...machines]);
  return {
    nodes: await new NodeRepository(tx).byIds([...nodes]),
    routes: new Map([...machines].map((id) => [id, routes.get(id)])),
  };
}
