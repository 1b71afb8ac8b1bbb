// Migrates a database to this version's schema, or rejects one that is newer.
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import { Migrator, type Migration } from 'kysely/migration';
import { IsthmusError } from '../../../contract/errors.ts';
import type { Schema } from '../schema.ts';
import { migration0001 } from './0001-start.ts';
import { migration0002 } from './0002-packages.ts';

/** In order. A released name never changes, because databases record it. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-start': migration0001,
  '0002-packages': migration0002,
};

/** The schema of this version. */
export const LAST_MIGRATION = Object.keys(MIGRATIONS).at(-1)!;

/** Called with the first of the missing migrations, before a database that has data is changed. */
type BeforeChange = (migration: string) => Promise<void>;

/** Runs the missing migrations, all or none. Safe to repeat, and to run several times at once. */
export async function migrate(
  db: Kysely<Schema>,
  known: Readonly<Record<string, Migration>> = MIGRATIONS,
  beforeChange: BeforeChange = () => Promise.resolve(),
): Promise<void> {
  const applied = await appliedMigrations(db);
  rejectNewer(applied, known);
  const missing = Object.keys(known).find((name) => !applied.includes(name));
  if (applied.length > 0 && missing !== undefined) await beforeChange(missing);
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve({ ...known }) } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw IsthmusError.from(error);
}

async function appliedMigrations(db: Kysely<Schema>): Promise<readonly string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === 'kysely_migration')) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return rows.map(({ name }) => name);
}

function rejectNewer(applied: readonly string[], known: Readonly<Record<string, Migration>>): void {
  const unknown = applied.find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  throw new IsthmusError('SCHEMA_NEWER', `the database has migration ${unknown}, which this version does not know`);
}
