// Packages: the index from ids and versions to blobs, which are named by their digest. Versions are immutable.
import type { PackageFormat } from '../../../contract/packages.ts';
import { sql, type Selectable } from 'kysely';
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
  /** Of its files when it is unpacked, and its entries: both or neither are known. */
  readonly unpackedBytes?: number;
  readonly entries?: number;
  /** Of a package that is one file on a machine, unless it is unpacked. */
  readonly fileName?: string;
}

/** A release that pins a package version. */
export interface PinningRelease {
  readonly id: string;
  readonly project: string;
  readonly version: string;
}

/** A project whose releases pin some version of a package. */
export interface PackageUse {
  readonly idKey: string;
  readonly project: string;
  /** How many. */
  readonly releases: number;
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
          unpacked_bytes: entry.unpackedBytes ?? null,
          entries: entry.entries ?? null,
          file_name: entry.fileName ?? null,
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

  /** A page of ids, in order: of each, all its versions. */
  async list({ cursor, limit }: PageRequest): Promise<Page<Package[]>> {
    let query = this.#db.selectFrom('packages').select('id_key').distinct().orderBy('id_key');
    if (cursor !== undefined) query = query.where('id_key', '>', decodeCursor(cursor, ['string'])[0] as string);
    const ids = await query.limit(limit + 1).execute();
    const page = toPage(
      ids,
      limit,
      (row) => [row.id_key],
      (row) => row.id_key,
    );
    if (page.items.length === 0) return { items: [] };
    const rows = await this.#db.selectFrom('packages').selectAll().where('id_key', 'in', page.items).execute();
    const versions = Map.groupBy(rows.map(toPackage), ({ idKey }) => idKey);
    return { ...page, items: page.items.map((id) => versions.get(id) ?? []) };
  }

  /** Deletes a version. */
  async delete({ idKey, versionKey }: Pick<Package, 'idKey' | 'versionKey'>): Promise<void> {
    await this.#db.deleteFrom('packages').where('id_key', '=', idKey).where('version_key', '=', versionKey).execute();
  }

  /** The releases that pin a version, oldest first. */
  async releasesOf({ idKey, versionKey }: Pick<Package, 'idKey' | 'versionKey'>): Promise<PinningRelease[]> {
    return this.#db
      .selectFrom('release_packages as pin')
      .innerJoin('releases', 'releases.id', 'pin.release')
      .select(['releases.id', 'releases.project', 'releases.version'])
      .distinct()
      .where('pin.id_key', '=', idKey)
      .where('pin.version_key', '=', versionKey)
      .orderBy('releases.created_at')
      .orderBy('releases.id')
      .execute();
  }

  /** Of each of these ids, the projects whose releases pin it, with the number of those releases. */
  async usesOf(idKeys: readonly string[]): Promise<PackageUse[]> {
    if (idKeys.length === 0) return [];
    const rows = await this.#db
      .selectFrom('release_packages as pin')
      .innerJoin('releases', 'releases.id', 'pin.release')
      .select(({ fn }) => ['pin.id_key', 'releases.project', fn.count<number>('releases.id').distinct().as('releases')])
      .where('pin.id_key', 'in', idKeys)
      .groupBy(['pin.id_key', 'releases.project'])
      .orderBy('pin.id_key')
      .orderBy('releases.project')
      .execute();
    return rows.map(({ id_key: idKey, ...use }) => ({ idKey, ...use }));
  }

  /** The open tasks that name a digest in what they are to do, such as upgrades of nodes. */
  async openTasksOf(sha256: string): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('tasks')
      .select('id')
      .where('ended_at', 'is', null)
      .where(sql<boolean>`instr(payload_json, ${sha256}) > 0`)
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    return rows.map(({ id }) => id);
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
    ...(row.unpacked_bytes === null ? {} : { unpackedBytes: row.unpacked_bytes }),
    ...(row.entries === null ? {} : { entries: row.entries }),
    ...(row.file_name === null ? {} : { fileName: row.file_name }),
  };
}
