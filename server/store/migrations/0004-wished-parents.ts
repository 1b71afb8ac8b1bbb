// The parents that a node is to go over to, until it has.
import { sql, type Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration0004: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql`alter table nodes add column wish_json text`.execute(db);
  },
};
