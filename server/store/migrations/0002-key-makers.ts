// Who made an API key, so that what one maker may have can be bounded. Keys made before are found in the audit trail.
import { sql, type Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

export const migration0002: Migration = {
  async up(db: Kysely<never>): Promise<void> {
    await sql`alter table api_keys add column made_by text`.execute(db);
    await sql`update api_keys set made_by = (select actor from events
      where type = 'api-key.created' and subject = api_keys.id order by seq limit 1)`.execute(db);
    await sql`create index api_keys_by_maker on api_keys (made_by)`.execute(db);
  },
};
