// Tracks which nodes and machines a transaction has written: repositories mark them, the store reads them at commit.
import { assertInTransaction, type Executor } from './base.ts';

export interface ChangedIds {
  readonly nodes: Set<string>;
  /** Machines that were added or deleted, or whose routes were written. */
  readonly machines: Set<string>;
}

const changed = new WeakMap<Executor, ChangedIds>();

/** The ids this transaction has written so far. */
export function changedIds(tx: Executor): ChangedIds {
  const ids = changed.get(tx) ?? { nodes: new Set(), machines: new Set() };
  changed.set(tx, ids);
  return ids;
}

/** Marks a write. Outside a transaction no commit would announce it, so that is a bug of the caller. */
export function markChanged(tx: Executor, kind: keyof ChangedIds, id: string): void {
  assertInTransaction(tx);
  changedIds(tx)[kind].add(id);
}
