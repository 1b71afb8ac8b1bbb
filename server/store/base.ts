// What all repositories share: the executor they are bound to, pages with cursors, versions, JSON columns.
import type { Kysely } from 'kysely';
import { IsthmusError, type ListedKind, type RemedyAction } from '../../contract/errors.ts';
import type { Schema } from './schema.ts';

/** The database, or one transaction on it. */
export type Executor = Kysely<Schema>;

/** Who does something: an API key's id, a node's id, or 'system'. Recorded in events. */
export type Actor = string;

/** A task and the epoch under which its owner writes. */
export interface Fence {
  readonly task: string;
  readonly epoch: number;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface Page<Item> {
  readonly items: Item[];
  /** The cursor of the next page; absent on the last one. */
  readonly next?: string;
}

/** The position after one item: its sort keys, opaque to callers. */
export function encodeCursor(keys: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url');
}

/** Decodes a cursor; INVALID_FIELD when it is malformed. */
export function decodeCursor(cursor: string, kinds: readonly ('string' | 'number')[]): (string | number)[] {
  try {
    const keys = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown;
    if (Array.isArray(keys) && keys.length === kinds.length && kinds.every((kind, i) => typeof keys[i] === kind)) {
      return keys as (string | number)[];
    }
  } catch {
    // Not base64url JSON: the same answer as for any other wrong cursor.
  }
  throw new IsthmusError('INVALID_FIELD', 'this is not a cursor that a list returned', { field: 'cursor' });
}

/** A page of the first `limit` of `limit + 1` rows. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keys: (row: Row) => readonly (string | number)[],
  toItem: (row: Row) => Item,
): Page<Item> {
  const items = rows.slice(0, limit).map(toItem);
  const last = rows[limit - 1];
  return rows.length > limit && last !== undefined ? { items, next: encodeCursor(keys(last)) } : { items };
}

/** For writes of several statements, which outside a transaction could be torn: that is a bug of the caller. */
export function assertInTransaction(db: Executor): void {
  if (!db.isTransaction) throw new IsthmusError('INTERNAL', 'this write needs store.transaction()');
}

/** Parses a JSON column, unchecked: this store wrote it. */
export function fromJson<Value>(text: string): Value {
  return JSON.parse(text) as Value;
}

/** As `fromJson`, null for null. */
export function fromJsonOrNull<Value>(text: string | null): Value | null {
  return text === null ? null : fromJson<Value>(text);
}

/** Throws PRECONDITION_FAILED when a versioned write touched no row. */
export function assertChanged(rows: bigint, what: string): void {
  if (rows === 0n) throw new IsthmusError('PRECONDITION_FAILED', `${what} was changed or deleted since it was read`);
}

interface Constraints {
  /** What to do about a key that exists. */
  readonly exists?: RemedyAction;
  /** What may refer to it. */
  readonly by?: string;
}

/** Maps a violated key to ALREADY_EXISTS and a violated reference to IN_USE. */
export async function mapConstraintErrors<Value>(
  what: string,
  work: () => Promise<Value>,
  { exists, by }: Constraints = {},
): Promise<Value> {
  try {
    return await work();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : '';
    if (/UNIQUE constraint|duplicate key/i.test(message)) {
      throw new IsthmusError('ALREADY_EXISTS', `${what} exists already`, { action: exists, cause: thrown });
    }
    if (/FOREIGN KEY constraint|foreign key constraint/i.test(message)) {
      const reason = by === undefined ? 'refers to something that does not exist' : `is in use by ${by}`;
      throw new IsthmusError('IN_USE', `${what} ${reason}`, { cause: thrown });
    }
    throw thrown;
  }
}

/** The row that a query must return; NOT_FOUND otherwise. Pass `kind` when there is a list to choose from. */
export function found<Value>(value: Value | undefined, what: string, kind?: ListedKind): Value {
  if (value !== undefined) return value;
  const action = kind === undefined ? undefined : ({ code: 'CHOOSE_EXISTING', arguments: { kind } } as const);
  throw new IsthmusError('NOT_FOUND', `there is no ${what}`, { action });
}
