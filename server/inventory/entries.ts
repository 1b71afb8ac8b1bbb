// Shared by sites and environments: entries with an id, a name and a description. Each change leaves an audit event.
import type { Actor } from '../store/base.ts';
import type {
  SiteOrEnvironment,
  SiteOrEnvironmentPatch,
  SiteOrEnvironmentRepository,
} from '../store/inventory/sites-and-environments.ts';
import { checkUnused, type Reference } from '../store/references.ts';
import type { StoreTransaction } from '../store/store.ts';

export interface NewEntry {
  readonly id: string;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
}

interface EntryAtVersion {
  readonly id: string;
  /** The version that was read. */
  readonly version: number;
}

interface EntryKind {
  readonly kind: 'site' | 'environment';
  readonly rows: (tx: StoreTransaction) => SiteOrEnvironmentRepository;
  readonly referencesTo: (tx: StoreTransaction, id: string) => Promise<readonly Reference[]>;
}

export interface Entries {
  /** Throws ALREADY_EXISTS when the id is taken. */
  create(tx: StoreTransaction, input: NewEntry, actor: Actor): Promise<SiteOrEnvironment>;
  update(
    tx: StoreTransaction,
    entry: EntryAtVersion,
    patch: SiteOrEnvironmentPatch,
    actor: Actor,
  ): Promise<SiteOrEnvironment>;
  /** Throws IN_USE, naming what refers to it, while something refers to it. */
  delete(tx: StoreTransaction, entry: EntryAtVersion, actor: Actor): Promise<void>;
}

/** Create, update and delete for one kind of entry. */
export function entriesOf({ kind, rows, referencesTo }: EntryKind): Entries {
  return {
    async create(tx, { id, name = id, description = '' }, actor) {
      const created = await rows(tx).insert({ id, name, description, createdAt: Date.now() });
      await tx.events.append({ actor, type: `${kind}.created`, subject: id, data: { name } });
      return created;
    },
    async update(tx, { id, version }, patch, actor) {
      const updated = await rows(tx).update(id, version, patch);
      await tx.events.append({ actor, type: `${kind}.updated`, subject: id, data: { ...patch } });
      return updated;
    },
    async delete(tx, { id, version }, actor) {
      checkUnused(`${kind} ${id}`, await referencesTo(tx, id));
      await rows(tx).delete(id, version);
      await tx.events.append({ actor, type: `${kind}.deleted`, subject: id, data: {} });
    },
  };
}
