// Machines: registered when their tentacle confirms, changed by operators, deletable once their node is revoked.
import { IsthmusError } from '../../contract/errors.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import type { Actor } from '../store/base.ts';
import type { Machine, MachinePatch } from '../store/inventory/machines.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { checkUnused } from '../store/references.ts';
import type { StoreTransaction } from '../store/store.ts';
import { checkRoutes, defaultRoutes } from '../topology/routes.ts';
import type { Topology } from '../topology/topology.ts';
import { checkEnvironments } from './environments.ts';
import { namedSources, scopedVariables } from './references.ts';

/** The settings that a join token gives to its machine. */
export interface MachineSpec {
  readonly name?: string | null;
  readonly environments: readonly string[];
  readonly targetRoles: readonly string[];
  /** Null: the default routes over the node's parents. */
  readonly routes: readonly MachineRoute[] | null;
  readonly createdAt: number;
}

/** Adds the machine of a confirmed tentacle; does nothing when it exists. */
export async function registerMachine(
  tx: StoreTransaction,
  node: Pick<Node, 'id' | 'site' | 'parents'>,
  spec: MachineSpec,
  { actor, topology }: { readonly actor: Actor; readonly topology: Topology },
): Promise<Machine> {
  const present = await tx.machines.find(node.id);
  if (present !== undefined) return present;
  if (node.site === null) throw new IsthmusError('INTERNAL', `tentacle ${node.id} has no site`);
  const routes = spec.routes ?? defaultRoutes({ node: node.id, parents: node.parents }, topology);
  await tx.machines.insert({
    id: node.id,
    name: spec.name ?? node.id,
    site: node.site,
    environments: spec.environments,
    targetRoles: spec.targetRoles,
    routes,
    createdAt: spec.createdAt,
  });
  await tx.events.append({
    actor,
    type: 'machine.created',
    subject: node.id,
    data: { site: node.site, routes, environments: spec.environments, targetRoles: spec.targetRoles },
    at: spec.createdAt,
  });
  return tx.machines.get(node.id);
}

interface MachineChange {
  readonly version: number;
  readonly patch: MachinePatch;
  /** The live topology, against which routes are checked. */
  readonly topology: Topology;
}

/** Changes a machine at the version that was read. */
export async function updateMachine(
  tx: StoreTransaction,
  id: string,
  { version, patch, topology }: MachineChange,
  actor: Actor,
): Promise<Machine> {
  const node = await tx.nodes.get(id);
  if (patch.routes !== undefined) checkRoutes(patch.routes, { node: id, parents: node.parents }, topology);
  await checkEnvironments(tx, patch.environments ?? []);
  const machine = await tx.machines.update(id, version, patch);
  await tx.events.append({ actor, type: 'machine.updated', subject: id, data: { ...patch } });
  return machine;
}

/** Deletes a machine. Its node must be revoked first, or it would go on running unseen; no variable may name it. */
export async function deleteMachine(tx: StoreTransaction, id: string, version: number, actor: Actor): Promise<void> {
  const node = await tx.nodes.find(id);
  if (node?.state === 'active') {
    throw new IsthmusError('IN_USE', `node ${id} is still active in the mesh`, {
      remedy: 'Revoke it first.',
      action: { code: 'REVOKE_NODE', arguments: { node: id } },
    });
  }
  const references = [...(await scopedVariables(tx, 'machine', id)), ...(await namedSources(tx, 'machines', id))];
  checkUnused(`machine ${id}`, references);
  await tx.machines.delete(id, version);
  await tx.events.append({ actor, type: 'machine.deleted', subject: id, data: {} });
}
