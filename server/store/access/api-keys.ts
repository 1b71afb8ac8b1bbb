// API keys: only the hash of the secret is stored.
import type { Selectable } from 'kysely';
import type { Schema } from '../schema.ts';
import type { Actor, Executor, Page, PageRequest } from '../base.ts';
import { decodeCursor, found, toPage, mapConstraintErrors } from '../base.ts';

export type ApiRole = Schema['api_keys']['role'];

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: ApiRole;
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

export class ApiKeyRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async insert(key: Omit<ApiKey, 'revokedAt'>, createdBy: Actor): Promise<void> {
    const { createdAt, expiresAt, ...row } = key;
    await mapConstraintErrors(`API key ${key.id}`, () =>
      this.#db
        .insertInto('api_keys')
        .values({ ...row, created_at: createdAt, expires_at: expiresAt, created_by: createdBy })
        .execute(),
    );
  }

  async find(id: string): Promise<ApiKey | undefined> {
    const row = await this.#db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toApiKey(row);
  }

  async get(id: string): Promise<ApiKey> {
    return found(await this.find(id), `API key ${id}`, 'key');
  }

  /** By id. */
  async list(page: PageRequest): Promise<Page<ApiKey>> {
    let query = this.#db.selectFrom('api_keys').selectAll().orderBy('id');
    if (page.cursor !== undefined) query = query.where('id', '>', String(decodeCursor(page.cursor, ['string'])[0]));
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.id], toApiKey);
  }

  /** How many of the keys that `creator` created are still valid. */
  async countLive(creator: Actor, now: number): Promise<number> {
    const { count } = await this.#db
      .selectFrom('api_keys')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('created_by', '=', creator)
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  /** Whether an admin key other than this one lasts as long as this one, or longer. */
  async hasLastingAdmin({ id, expiresAt }: Pick<ApiKey, 'id' | 'expiresAt'>): Promise<boolean> {
    const other = await this.#db
      .selectFrom('api_keys')
      .select('id')
      .where('role', '=', 'admin')
      .where('id', '!=', id)
      .where('revoked_at', 'is', null)
      .where((eb) =>
        eb.or([eb('expires_at', 'is', null), ...(expiresAt === null ? [] : [eb('expires_at', '>=', expiresAt)])]),
      )
      .executeTakeFirst();
    return other !== undefined;
  }

  /** Returns whether this call revoked it. */
  async revoke(id: string, now: number): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('api_keys')
      .set({ revoked_at: now })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }
}

function toApiKey(row: Selectable<Schema['api_keys']>): ApiKey {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    hash: row.hash,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}
