// Migration 2: packages. A released version of it is never edited; a change is a new migration.
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration0002: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await pinnedPackages(db);
    await mirrorPins(db);
    await packageSources(db);
    await contents(db);
    await db.schema.alterTable('projects').addColumn('warm_json', 'text').execute();
    await unpacked(db);
  },
};

/** What each release pins, as rows: which releases use a version of a package is asked often. */
async function pinnedPackages(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('release_packages')
    .addColumn('release', 'text', (column) => column.notNull().references('releases.id').onDelete('cascade'))
    .addColumn('step', 'text', (column) => column.notNull())
    .addColumn('id_key', 'text', (column) => column.notNull())
    .addColumn('version_key', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('release_packages_key', ['release', 'step'])
    .execute();
  await sql`create index release_packages_by_package on release_packages (id_key, version_key)`.execute(db);
  // Each pin has id and version as the feed had them then, and no version was ever deleted.
  await sql`insert into release_packages (release, step, id_key, version_key)
    select r.id, json_extract(pin.value, '$.step'), p.id_key, p.version_key
    from releases r, json_each(r.packages_json) pin
    join packages p on p.id = json_extract(pin.value, '$.id') and p.version = json_extract(pin.value, '$.version')
  `.execute(db);
}

/** Where packages come from. */
async function packageSources(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('package_sources')
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('url', 'text')
    .addColumn('node', 'text')
    .addColumn('machines_json', 'text', (column) => column.notNull())
    .addColumn('sites_json', 'text', (column) => column.notNull())
    .addColumn('networks_json', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('package_sources_key', ['id'])
    .execute();
}

/** What is inside a tar.gz: null until it has been examined, and for other formats. */
async function contents(db: Kysely<never>): Promise<void> {
  await db.schema.alterTable('packages').addColumn('tar_sha256', 'text').execute();
  await db.schema.alterTable('packages').addColumn('tar_bytes', 'bigint').execute();
  await db.schema.alterTable('packages').addColumn('gzip_recipe', 'text').execute();
}

/** The versions that people pinned at mirrors. */
async function mirrorPins(db: Kysely<never>): Promise<void> {
  await db.schema
    .createTable('mirror_pins')
    .addColumn('mirror', 'text', (column) => column.notNull().references('nodes.id'))
    .addColumn('id_key', 'text', (column) => column.notNull())
    .addColumn('version_key', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('mirror_pins_key', ['mirror', 'id_key', 'version_key'])
    .execute();
}

/** What a package is when it is unpacked, and its name when it is not: null for those that were not measured. */
async function unpacked(db: Kysely<never>): Promise<void> {
  await db.schema.alterTable('packages').addColumn('unpacked_bytes', 'bigint').execute();
  await db.schema.alterTable('packages').addColumn('entries', 'bigint').execute();
  await db.schema.alterTable('packages').addColumn('file_name', 'text').execute();
}
