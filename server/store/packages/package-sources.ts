// Package sources: servers outside the mesh, mirrors and the server, with those whom they are named for.
import { sql, type Selectable } from 'kysely';
import type { Executor, Page, PageRequest } from '../base.ts';
import { assertChanged, decodeCursor, found, fromJson, mapConstraintErrors, toPage } from '../base.ts';
import type { Schema } from '../schema.ts';

interface Shared {
  readonly id: string;
  readonly machines: readonly string[];
  readonly sites: readonly string[];
  /** In CIDR notation. */
  readonly networks: readonly string[];
  readonly version: number;
  readonly createdAt: number;
}

export type PackageSource =
  | (Shared & { readonly kind: 'upstream'; readonly url: string })
  | (Shared & { readonly kind: 'mesh'; readonly node: string });

/** A release, or where that is null the process of a project, with a step that names a source. */
export interface NamedBy {
  readonly project: string;
  readonly release: string | null;
}

export class PackageSourceRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** ALREADY_EXISTS when the id is taken. */
  async insert(source: PackageSource): Promise<void> {
    const { id, kind, machines, sites, networks, version, createdAt } = source;
    await mapConstraintErrors(
      `package source ${id}`,
      () =>
        this.#db
          .insertInto('package_sources')
          .values({
            id,
            kind,
            url: source.kind === 'upstream' ? source.url : null,
            node: source.kind === 'mesh' ? source.node : null,
            machines_json: JSON.stringify(machines),
            sites_json: JSON.stringify(sites),
            networks_json: JSON.stringify(networks),
            version,
            created_at: createdAt,
          })
          .execute(),
      { exists: { code: 'SHOW_EXISTING', arguments: { kind: 'package source', id } } },
    );
  }

  async find(id: string): Promise<PackageSource | undefined> {
    const row = await this.#db.selectFrom('package_sources').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toSource(row);
  }

  async get(id: string): Promise<PackageSource> {
    return found(await this.find(id), `package source ${id}`, 'package source');
  }

  /** All of them, by id. */
  async all(): Promise<PackageSource[]> {
    const rows = await this.#db.selectFrom('package_sources').selectAll().orderBy('id').execute();
    return rows.map(toSource);
  }

  /** By id. */
  async list({ cursor, limit }: PageRequest): Promise<Page<PackageSource>> {
    let query = this.#db.selectFrom('package_sources').selectAll().orderBy('id');
    if (cursor !== undefined) query = query.where('id', '>', String(decodeCursor(cursor, ['string'])[0]));
    return toPage(await query.limit(limit + 1).execute(), limit, (row) => [row.id], toSource);
  }

  /** What names it as the `feed` of a step, by project and age; a name in a variable is not found. */
  async namedBy(id: string): Promise<readonly NamedBy[]> {
    const { rows } = await sql<NamedBy>`
      select project, release from (
        select id as project, null as release, 0 as created_at, process_json from projects
        union all
        select project, version as release, created_at, process_json from releases
      ) where exists (select 1 from json_each(process_json) step where json_extract(step.value, '$.feed') = ${id})
      order by project, release is not null, created_at
    `.execute(this.#db);
    return rows;
  }

  /** PRECONDITION_FAILED unless it still has `version`. */
  async delete(id: string, version: number): Promise<void> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('package_sources')
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numDeletedRows, `package source ${id}`);
  }
}

function toSource(row: Selectable<Schema['package_sources']>): PackageSource {
  const shared = {
    id: row.id,
    machines: fromJson<string[]>(row.machines_json),
    sites: fromJson<string[]>(row.sites_json),
    networks: fromJson<string[]>(row.networks_json),
    version: row.version,
    createdAt: row.created_at,
  };
  return row.kind === 'upstream'
    ? { ...shared, kind: 'upstream', url: row.url ?? '' }
    : { ...shared, kind: 'mesh', node: row.node ?? '' };
}
