// Nodes: every node of the mesh, its parents, its latest report, and the certificates issued to it.
import type { Selectable } from 'kysely';
import type { NodeRole, NodeState, Parent } from '../../../contract/nodes.ts';
import { PLAIN_HOST_PORT_PATTERN } from '../../../contract/patterns.ts';
import type { DesiredParents } from './parents.ts';
import type { Schema } from '../schema.ts';
import type { Executor, Page, PageRequest } from '../base.ts';
import { assertChanged, decodeCursor, found, fromJson, fromJsonOrNull, toPage, mapConstraintErrors } from '../base.ts';
import { markChanged } from '../changed.ts';

export interface Node {
  readonly id: string;
  readonly role: NodeRole;
  readonly site: string | null;
  /** In order of preference; none for servers. */
  readonly parents: readonly Parent[];
  /** Its desired parents; null once it has moved to them. */
  readonly desired: DesiredParents | null;
  /** Where the children of a relay dial it, as host:port: as it reports, or as its join token says. */
  readonly address: string | null;
  readonly state: NodeState;
  readonly certificateNotAfter: number | null;
  readonly softwareVersion: string | null;
  readonly feedUrl: string | null;
  /** The latest NodeReport. */
  readonly report: unknown;
  readonly lastSeenAt: number | null;
  readonly revokedAt: number | null;
  /** Of the process that was admitted last. */
  readonly startNonce: string | null;
  /** The starts that were denied since, the latest first. */
  readonly deniedStarts: readonly DeniedStart[];
  /** When a denied start was last let in, in place of the one before. */
  readonly reactivatedAt: number | null;
  /** Rises with every admitted start that may lack what the one before has journalled. */
  readonly journalGeneration: number;
  readonly version: number;
  readonly createdAt: number;
}

export type NewNode = Pick<Node, 'id' | 'role' | 'site' | 'parents' | 'createdAt'> & {
  readonly certificateNotAfter?: number | null;
  readonly address?: string | null;
};

/** A start that was denied, because another process acted as the node. */
export interface DeniedStart {
  readonly nonce: string;
  readonly hostname: string;
  readonly address: string | null;
  /** The node that it came by: itself, or a relay. */
  readonly via: string;
  readonly at: number;
}

/** What a node reports, or the server observes of it. Does not change its version. */
export interface LastSeen {
  readonly softwareVersion?: string;
  readonly feedUrl?: string | null;
  readonly report?: unknown;
  readonly lastSeenAt?: number;
  readonly certificateNotAfter?: number;
}

export interface Certificate {
  readonly serial: string;
  readonly node: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly issuedAt: number;
}

interface NodeFilter {
  readonly role?: NodeRole | undefined;
  readonly site?: string | undefined;
  readonly state?: Node['state'] | undefined;
}

/** Every write needs a transaction, whose commit updates the mesh in memory (see `Store.onMeshChange`). */
export class NodeRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** ALREADY_EXISTS when the id is taken, even by a revoked node: see `reactivate`. */
  async insert(node: NewNode): Promise<void> {
    markChanged(this.#db, 'nodes', node.id);
    await mapConstraintErrors(`node ${node.id}`, () =>
      this.#db
        .insertInto('nodes')
        .values({
          id: node.id,
          role: node.role,
          site: node.site,
          parents_json: JSON.stringify(node.parents),
          address: node.address ?? null,
          state: 'active',
          certificate_not_after: node.certificateNotAfter ?? null,
          journal_generation: 0,
          version: 1,
          created_at: node.createdAt,
        })
        .execute(),
    );
  }

  async find(id: string): Promise<Node | undefined> {
    const row = await this.#db.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toNode(row);
  }

  async get(id: string): Promise<Node> {
    return found(await this.find(id), `node ${id}`, 'node');
  }

  /** By id. */
  async list(filter: NodeFilter, page: PageRequest): Promise<Page<Node>> {
    let query = this.#filtered(filter);
    if (page.cursor !== undefined) query = query.where('id', '>', String(decodeCursor(page.cursor, ['string'])[0]));
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.id], toNode);
  }

  /** All that match, by id: a mesh has thousands of nodes, not millions. */
  async all(filter: NodeFilter = {}): Promise<Node[]> {
    return (await this.#filtered(filter).execute()).map(toNode);
  }

  /** The existing ones of these nodes, by id. */
  async byIds(ids: readonly string[]): Promise<Node[]> {
    if (ids.length === 0) return [];
    return (await this.#filtered({}).where('id', 'in', ids).execute()).map(toNode);
  }

  /** Records what was last seen of a node. */
  async recordLastSeen(id: string, lastSeen: LastSeen): Promise<void> {
    markChanged(this.#db, 'nodes', id);
    await this.#db
      .updateTable('nodes')
      .set({
        id,
        ...(lastSeen.softwareVersion === undefined ? {} : { software_version: lastSeen.softwareVersion }),
        ...(lastSeen.feedUrl === undefined ? {} : { feed_url: lastSeen.feedUrl }),
        ...(lastSeen.report === undefined ? {} : { report_json: JSON.stringify(lastSeen.report) }),
        ...(lastSeen.lastSeenAt === undefined ? {} : { last_seen_at: lastSeen.lastSeenAt }),
        ...(lastSeen.certificateNotAfter === undefined ? {} : { certificate_not_after: lastSeen.certificateNotAfter }),
      })
      .where('id', '=', id)
      .execute();
  }

  /** Sets a node's desired parents; they replace earlier ones. PRECONDITION_FAILED unless it still has `version`. */
  async setDesiredParents(id: string, version: number, desired: DesiredParents): Promise<void> {
    markChanged(this.#db, 'nodes', id);
    const { numUpdatedRows } = await this.#db
      .updateTable('nodes')
      .set({ desired_parents_json: JSON.stringify(desired), version: version + 1 })
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numUpdatedRows, `node ${id}`);
  }

  /** Records that a node has moved to its desired parents. */
  async recordReparented(id: string, parents: readonly Parent[]): Promise<void> {
    markChanged(this.#db, 'nodes', id);
    await this.#db
      .updateTable('nodes')
      .set((eb) => ({
        parents_json: JSON.stringify(parents),
        desired_parents_json: null,
        version: eb('version', '+', 1),
      }))
      .where('id', '=', id)
      .execute();
  }

  /**
   * Makes a revoked node that has joined again active, with its new site, parents and address. Keeps the time of the
   * revocation: certificates from before it stay invalid.
   */
  async reactivate(node: Pick<Node, 'id' | 'site' | 'parents' | 'address' | 'certificateNotAfter'>): Promise<void> {
    markChanged(this.#db, 'nodes', node.id);
    await this.#db
      .updateTable('nodes')
      .set((eb) => ({
        state: 'active',
        site: node.site,
        parents_json: JSON.stringify(node.parents),
        desired_parents_json: null,
        address: node.address,
        report_json: null,
        certificate_not_after: node.certificateNotAfter,
        start_nonce: null,
        denied_starts_json: null,
        version: eb('version', '+', 1),
      }))
      .where('id', '=', node.id)
      .where('state', '=', 'revoked')
      .execute();
  }

  /**
   * Records the start that was admitted; none is denied any more, unless it comes again. Does not change the node's
   * version.
   */
  async admitStart(
    id: string,
    { nonce, ofSameFolder }: { readonly nonce: string; readonly ofSameFolder: boolean },
  ): Promise<void> {
    markChanged(this.#db, 'nodes', id);
    await this.#db
      .updateTable('nodes')
      .set((eb) => ({
        start_nonce: nonce,
        denied_starts_json: null,
        journal_generation: eb('journal_generation', '+', ofSameFolder ? 0 : 1),
      }))
      .where('id', '=', id)
      .execute();
  }

  /** Replaces the starts that were denied. Does not change the node's version. */
  async setDeniedStarts(id: string, denied: readonly DeniedStart[]): Promise<void> {
    markChanged(this.#db, 'nodes', id);
    await this.#db
      .updateTable('nodes')
      .set({ denied_starts_json: JSON.stringify(denied) })
      .where('id', '=', id)
      .execute();
  }

  /** Lets a denied start in, in place of the one that was admitted. */
  async swapStart(id: string, nonce: string, now: number): Promise<void> {
    markChanged(this.#db, 'nodes', id);
    await this.#db
      .updateTable('nodes')
      .set((eb) => ({
        start_nonce: nonce,
        denied_starts_json: null,
        reactivated_at: now,
        journal_generation: eb('journal_generation', '+', 1),
        version: eb('version', '+', 1),
      }))
      .where('id', '=', id)
      .execute();
  }

  /** Marks a node revoked; returns whether it was active. */
  async revoke(id: string, now: number): Promise<boolean> {
    markChanged(this.#db, 'nodes', id);
    const { numUpdatedRows } = await this.#db
      .updateTable('nodes')
      .set((eb) => ({ state: 'revoked', revoked_at: now, version: eb('version', '+', 1) }))
      .where('id', '=', id)
      .where('state', '=', 'active')
      .executeTakeFirst();
    return numUpdatedRows > 0n;
  }

  async insertCertificate({ serial, node, notBefore, notAfter, issuedAt }: Certificate): Promise<void> {
    await this.#db
      .insertInto('certificates')
      .values({ serial, node, not_before: notBefore, not_after: notAfter, issued_at: issuedAt })
      .execute();
  }

  async hasCertificate(node: string, serial: string): Promise<boolean> {
    const row = await this.#db
      .selectFrom('certificates')
      .select('serial')
      .where('node', '=', node)
      .where('serial', '=', serial)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Newest first. */
  async certificates(node: string): Promise<Certificate[]> {
    const rows = await this.#db
      .selectFrom('certificates')
      .selectAll()
      .where('node', '=', node)
      .orderBy('issued_at', 'desc')
      .limit(100)
      .execute();
    return rows.map((row) => ({
      serial: row.serial,
      node: row.node,
      notBefore: row.not_before,
      notAfter: row.not_after,
      issuedAt: row.issued_at,
    }));
  }

  #filtered(filter: NodeFilter) {
    let query = this.#db.selectFrom('nodes').selectAll().orderBy('id');
    if (filter.role !== undefined) query = query.where('role', '=', filter.role);
    if (filter.site !== undefined) query = query.where('site', '=', filter.site);
    if (filter.state !== undefined) query = query.where('state', '=', filter.state);
    return query;
  }
}

function toNode(row: Selectable<Schema['nodes']>): Node {
  const report = fromJsonOrNull(row.report_json);
  return {
    id: row.id,
    role: row.role,
    site: row.site,
    parents: fromJson<Parent[]>(row.parents_json),
    desired: fromJsonOrNull<DesiredParents>(row.desired_parents_json),
    address: reportedAddress(report) ?? row.address,
    state: row.state,
    certificateNotAfter: row.certificate_not_after,
    softwareVersion: row.software_version,
    feedUrl: row.feed_url,
    report,
    lastSeenAt: row.last_seen_at,
    revokedAt: row.revoked_at,
    startNonce: row.start_nonce,
    deniedStarts: fromJsonOrNull<DeniedStart[]>(row.denied_starts_json) ?? [],
    reactivatedAt: row.reactivated_at,
    journalGeneration: row.journal_generation,
    version: row.version,
    createdAt: row.created_at,
  };
}

const PLAIN_HOST_PORT = new RegExp(PLAIN_HOST_PORT_PATTERN);

/** The address that a relay reports for its children. It ends up in a shell, so it must be a plain address. */
function reportedAddress(report: unknown): string | undefined {
  const { meshAddress } = (report ?? {}) as { meshAddress?: unknown };
  return typeof meshAddress === 'string' && PLAIN_HOST_PORT.test(meshAddress) ? meshAddress : undefined;
}
