// Sites and environments: made, renamed and deleted, each with its audit event.
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
  await tx.events.append({ actor, type: `${kind}.created`, subjectKind: kind, subject: id, data: { name } });
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
  await tx.events.append({ actor, type: `${kind}.updated`, subjectKind: kind, subject: id, data: { ...patch } });
  return named;
}

/** IN_USE while something refers to it. */
export async function deleteNamed(
  tx: StoreTransaction,
  kind: NamedKind,
  { id, version }: NamedChange,
  actor: Actor,
): Promise<void> {
  await repository(tx, kind).delete(id, version);
  await tx.events.append({ actor, type: `${kind}.deleted`, subjectKind: kind, subject: id });
}
