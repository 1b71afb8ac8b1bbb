// Sites and environments: made, renamed and deleted, each with its audit event.
import { IsthmusError } from '../../lib/errors.ts';
import type { Actor } from '../store/repositories/base.ts';
import type { Named, NamedPatch, NamedRepository } from '../store/repositories/named.ts';
import type { StoreTransaction } from '../store/store.ts';

export type NamedKind = 'site' | 'environment';

export interface NewNamed {
  readonly id: string;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
}

function repository(tx: StoreTransaction, kind: NamedKind): NamedRepository {
  return kind === 'site' ? tx.sites : tx.environments;
}

export async function createNamed(
  tx: StoreTransaction,
  kind: NamedKind,
  input: NewNamed,
  actor: Actor,
): Promise<Named> {
  const { id, name = id, description = '' } = input;
  const named = await repository(tx, kind).insert({ id, name, description, createdAt: Date.now() });
  await tx.events.append({ actor, type: `${kind}.created`, subject: id, data: { name } });
  return named;
}

interface NamedChange {
  readonly id: string;
  readonly version: number;
}

export async function updateNamed(
  tx: StoreTransaction,
  kind: NamedKind,
  { id, version }: NamedChange,
  patch: NamedPatch,
  actor: Actor,
): Promise<Named> {
  const named = await repository(tx, kind).update(id, version, patch);
  await tx.events.append({ actor, type: `${kind}.updated`, subject: id, data: { ...patch } });
  return named;
}

/** The nodes of a site, the machines of an environment. */
async function usersOf(tx: StoreTransaction, kind: NamedKind, id: string): Promise<string[]> {
  if (kind === 'environment') {
    return (await tx.machines.select({ environments: [id] })).map((machine) => `machine ${machine.id}`);
  }
  const nodes = (await tx.nodes.all()).filter(({ site }) => site === id);
  return nodes.map((node) => `node ${node.id}${node.state === 'revoked' ? ' (revoked)' : ''}`);
}

/** IN_USE, naming what does, while something refers to it. */
export async function deleteNamed(
  tx: StoreTransaction,
  kind: NamedKind,
  { id, version }: NamedChange,
  actor: Actor,
): Promise<void> {
  const users = await usersOf(tx, kind, id);
  if (users.length > 0) {
    const rest = users.length > 5 ? ` and ${users.length - 5} more` : '';
    throw new IsthmusError('IN_USE', `${kind} ${id} is in use by ${users.slice(0, 5).join(', ')}${rest}`);
  }
  await repository(tx, kind).delete(id, version);
  await tx.events.append({ actor, type: `${kind}.deleted`, subject: id, data: {} });
}
