// Shared by sites and environments: entries with an id, a name and a description. Each change leaves an audit event.
import { IsthmusError } from '../../contract/errors.ts';
import type { Actor } from '../store/base.ts';
import type {
  SiteOrEnvironment,
  SiteOrEnvironmentPatch,
  SiteOrEnvironmentRepository,
} from '../store/inventory/sites-and-environments.ts';
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
  /** What refers to it, as words for an error. */
  readonly usersOf: (tx: StoreTransaction, id: string) => Promise<readonly string[]>;
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
  /** Throws IN_USE, naming the users, while something refers to it. */
  delete(tx: StoreTransaction, entry: EntryAtVersion, actor: Actor): Promise<void>;
}

/** Users listed in an error; more would hide what to do. */
const MAX_LISTED = 5;

/** Create, update and delete for one kind of entry. */
export function entriesOf({ kind, rows, usersOf }: EntryKind): Entries {
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
      const users = await usersOf(tx, id);
      if (users.length > 0) {
        const rest = users.length > MAX_LISTED ? ` and ${users.length - MAX_LISTED} more` : '';
        throw new IsthmusError('IN_USE', `${kind} ${id} is in use by ${users.slice(0, MAX_LISTED).join(', ')}${rest}`);
      }
      await rows(tx).delete(id, version);
      await tx.events.append({ actor, type: `${kind}.deleted`, subject: id, data: {} });
    },
  };
}
