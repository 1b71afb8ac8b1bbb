// Join tokens: single use, bound to their node and its settings. Only the sealed key of the proof is stored, never the
// secret.
import type { Selectable } from 'kysely';
import type { MachineRoute } from '../../../contract/machines.ts';
import type { Parent } from '../../../contract/nodes.ts';
import type { JoinRole } from '../../../contract/join-tokens.ts';
import type { Schema } from '../schema.ts';
import type { Executor, Page, PageRequest } from '../base.ts';
import { decodeCursor, found, fromJson, fromJsonOrNull, toPage } from '../base.ts';

export interface JoinToken {
  readonly id: string;
  readonly proofKeySealed: string;
  readonly role: JoinRole;
  readonly site: string;
  readonly name: string | null;
  /** In order of preference. */
  readonly parents: readonly Parent[];
  readonly environments: readonly string[];
  readonly targetRoles: readonly string[];
  readonly routes: readonly MachineRoute[] | null;
  /** Where the children of a relay dial it, as host:port. */
  readonly address: string | null;
  readonly expiresAt: number;
  /** SHA-256 of the SPKI that enrolled with it, so that the same key may try again. */
  readonly boundSpkiSha256: string | null;
  readonly boundNode: string | null;
  readonly usedAt: number | null;
  readonly createdBy: string;
  readonly createdAt: number;
}

export type NewJoinToken = Omit<JoinToken, 'boundSpkiSha256' | 'boundNode' | 'usedAt'>;

export class TokenRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async insert(token: NewJoinToken): Promise<void> {
    await this.#db
      .insertInto('join_tokens')
      .values({
        id: token.id,
        proof_key_sealed: token.proofKeySealed,
        role: token.role,
        site: token.site,
        name: token.name,
        parents_json: JSON.stringify(token.parents),
        environments_json: JSON.stringify(token.environments),
        target_roles_json: JSON.stringify(token.targetRoles),
        routes_json: token.routes === null ? null : JSON.stringify(token.routes),
        address: token.address,
        expires_at: token.expiresAt,
        created_by: token.createdBy,
        created_at: token.createdAt,
      })
      .execute();
  }

  async find(id: string): Promise<JoinToken | undefined> {
    const row = await this.#db.selectFrom('join_tokens').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toToken(row);
  }

  async get(id: string): Promise<JoinToken> {
    return found(await this.find(id), `token ${id}`, 'token');
  }

  /** Newest first. */
  async list(page: PageRequest): Promise<Page<JoinToken>> {
    let query = this.#db.selectFrom('join_tokens').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
    if (page.cursor !== undefined) {
      const [at, id] = decodeCursor(page.cursor, ['number', 'string']) as [number, string];
      query = query.where((eb) => eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(at, id)));
    }
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.created_at, row.id], toToken);
  }

  /**
   * Binds an unused token to the first key and node that prove it; returns whether it is now (or was already) bound to
   * exactly these. Of several different ones at once, only one gets true.
   */
  async bind(id: string, spkiSha256: string, node: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('join_tokens')
      .set({ bound_spki_sha256: spkiSha256, bound_node: node })
      .where('id', '=', id)
      .where('used_at', 'is', null)
      .where((or) => or('bound_spki_sha256', 'is', null).or('bound_spki_sha256', '=', spkiSha256))
      .where((or) => or('bound_node', 'is', null).or('bound_node', '=', node))
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  /** The latest token, used or not, that is bound to exactly this node and key. */
  async boundTo(node: string, spkiSha256: string): Promise<JoinToken | undefined> {
    const row = await this.#db
      .selectFrom('join_tokens')
      .selectAll()
      .where('bound_node', '=', node)
      .where('bound_spki_sha256', '=', spkiSha256)
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : toToken(row);
  }

  /** Frees a token whose enrolment was not confirmed, so that another attempt, with another key, may use it. */
  async unbind(id: string, spkiSha256: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('join_tokens')
      .set({ bound_spki_sha256: null, bound_node: null })
      .where('id', '=', id)
      .where('used_at', 'is', null)
      .where('bound_spki_sha256', '=', spkiSha256)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  /** Tokens that are bound to a key that has not confirmed its enrolment. */
  async unconfirmed(): Promise<JoinToken[]> {
    const rows = await this.#db
      .selectFrom('join_tokens')
      .selectAll()
      .where('used_at', 'is', null)
      .where('bound_spki_sha256', 'is not', null)
      .execute();
    return rows.map(toToken);
  }

  /** Unused tokens that are still valid at `now`, newest first. */
  async open(now: number): Promise<JoinToken[]> {
    return (await this.#open(now).execute()).map(toToken);
  }

  /** Those of nodes that a parent dials: the newest for a name corrects the earlier ones. */
  async pendingDialled(now: number): Promise<JoinToken[]> {
    return (await this.open(now)).filter(({ parents }) => parents.some(({ dialAddress }) => dialAddress !== null));
  }

  /** Those for a node of this name. */
  async openFor(name: string, now: number): Promise<JoinToken[]> {
    return (await this.#open(now).where('name', '=', name).execute()).map(toToken);
  }

  #open(now: number) {
    return this.#db
      .selectFrom('join_tokens')
      .selectAll()
      .where('used_at', 'is', null)
      .where('expires_at', '>', now)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc');
  }

  /** Consumes the token; returns whether this call did. */
  async consume(id: string, now: number): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('join_tokens')
      .set({ used_at: now })
      .where('id', '=', id)
      .where('used_at', 'is', null)
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  /** Returns whether it existed. */
  async delete(id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db.deleteFrom('join_tokens').where('id', '=', id).executeTakeFirst();
    return numDeletedRows > 0n;
  }
}

function toToken(row: Selectable<Schema['join_tokens']>): JoinToken {
  return {
    id: row.id,
    proofKeySealed: row.proof_key_sealed,
    role: row.role,
    site: row.site,
    name: row.name,
    parents: fromJson<Parent[]>(row.parents_json),
    environments: fromJson<string[]>(row.environments_json),
    targetRoles: fromJson<string[]>(row.target_roles_json),
    routes: fromJsonOrNull<MachineRoute[]>(row.routes_json),
    address: row.address,
    expiresAt: row.expires_at,
    boundSpkiSha256: row.bound_spki_sha256,
    boundNode: row.bound_node,
    usedAt: row.used_at,
    createdBy: row.created_by,
    createdAt: row.created_at,
  };
}
