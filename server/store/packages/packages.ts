// Packages: the index from ids and versions to blobs, which are named by their digest. Versions are immutable.
import type { PackageFormat } from '../../../contract/packages.ts';
import type { Selectable } from 'kysely';
import type { Schema } from '../schema.ts';
import type { Executor, Page, PageRequest } from '../base.ts';
import { decodeCursor, toPage, mapConstraintErrors } from '../base.ts';

export interface Package {
  /** As its owner spells it. */
  readonly id: string;
  /** Lower-case id; with `versionKey` the key. */
  readonly idKey: string;
  readonly version: string;
  readonly versionKey: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: PackageFormat;
  readonly publishedAt: number;
}

export class PackageRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** ALREADY_EXISTS when this id has this version already. */
  async insert(entry: Package): Promise<void> {
    await mapConstraintErrors(`package ${entry.id} ${entry.version}`, () =>
      this.#db
        .insertInto('packages')
        .values({
          id: entry.id,
          id_key: entry.idKey,
          version: entry.version,
          version_key: entry.versionKey,
          sha256: entry.sha256,
          size_bytes: entry.sizeBytes,
          format: entry.format,
          published_at: entry.publishedAt,
        })
        .execute(),
    );
  }

  async find(idKey: string, versionKey: string): Promise<Package | undefined> {
    const row = await this.#db
      .selectFrom('packages')
      .selectAll()
      .where('id_key', '=', idKey)
      .where('version_key', '=', versionKey)
      .executeTakeFirst();
    return row === undefined ? undefined : toPackage(row);
  }

  /** Every version of an id, newest published first. */
  async versions(idKey: string): Promise<Package[]> {
    const rows = await this.#db
      .selectFrom('packages')
      .selectAll()
      .where('id_key', '=', idKey)
      .orderBy('published_at', 'desc')
      .execute();
    return rows.map(toPackage);
  }

  /** Every version of every id, by id and version; or of one id. */
  async list(page: PageRequest, idKey?: string): Promise<Page<Package>> {
    let query = this.#db.selectFrom('packages').selectAll().orderBy('id_key').orderBy('version_key');
    if (idKey !== undefined) query = query.where('id_key', '=', idKey);
    if (page.cursor !== undefined) {
      const [id, version] = decodeCursor(page.cursor, ['string', 'string']) as [string, string];
      query = query.where((eb) => eb(eb.refTuple('id_key', 'version_key'), '>', eb.tuple(id, version)));
    }
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.id_key, row.version_key], toPackage);
  }

  /** The package versions with these bytes. */
  async byDigest(sha256: string): Promise<Package[]> {
    const rows = await this.#db.selectFrom('packages').selectAll().where('sha256', '=', sha256).execute();
    return rows.map(toPackage);
  }
}

function toPackage(row: Selectable<Schema['packages']>): Package {
  return {
    id: row.id,
    idKey: row.id_key,
    version: row.version,
    versionKey: row.version_key,
    sha256: row.sha256,
    sizeBytes: row.size_bytes,
    format: row.format,
    publishedAt: row.published_at,
  };
}
