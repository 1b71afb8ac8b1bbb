// A node has several parents, in order of preference, each with the address at which it dials the node, if it does.
import { sql, type Kysely } from 'kysely';
import type { Migration } from 'kysely/migration';

interface Before {
  nodes: { id: string; parent: string | null; dial_address: string | null; parents_json: string };
  join_tokens: { id: string; parent: string | null; dial_address: string | null; parents_json: string };
}

export const migration0003: Migration = {
  async up(db: Kysely<Before>): Promise<void> {
    for (const table of ['nodes', 'join_tokens'] as const) {
      await sql`alter table ${sql.table(table)} add column parents_json text not null default '[]'`.execute(db);
      const rows = await db.selectFrom(table).select(['id', 'parent', 'dial_address']).execute();
      for (const { id, parent, dial_address: dialAddress } of rows) {
        if (parent === null) continue;
        const parents = JSON.stringify([{ node: parent, dialAddress }]);
        await db.updateTable(table).set({ parents_json: parents }).where('id', '=', id).execute();
      }
      for (const column of ['parent', 'dial_address']) {
        await sql`alter table ${sql.table(table)} drop column ${sql.ref(column)}`.execute(db);
      }
    }
  },
};
