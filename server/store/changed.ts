// Which nodes and machines a transaction has written: noted by the repositories, read by the store before the commit.
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

/** Notes a write. Outside a transaction there would be no commit to announce it with, so that is a bug of the caller. */
export function noteChanged(tx: Executor, kind: keyof ChangedIds, id: string): void {
  assertInTransaction(tx);
  changedIds(tx)[kind].add(id);
}
