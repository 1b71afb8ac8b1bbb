// The order under a concurrency key: its tasks run one at a time, as they were added, and none overtakes another.
import { sql, type RawBuilder } from 'kysely';
import type { Executor } from '../base.ts';

/** The number of a new task under its key, after all that were ever added: neither a clock nor an ended task matters. */
export function nextOfKey(key: string): RawBuilder<number> {
  return sql<number>`(select coalesce(max(concurrency_seq), 0) + 1 from tasks where concurrency_key = ${key})`;
}

/**
 * Whether an older open task of its key holds up the task of this table alias at `now` (ms). A task that was cancelled or
 * has run out of time is not held up: it only ends.
 */
export function isHeldUp(alias: string, now: number): RawBuilder<boolean> {
  const column = (name: string) => sql.ref(`${alias}.${name}`);
  return sql<boolean>`exists (
    select 1 from tasks as older
    where older.concurrency_key = ${column('concurrency_key')}
      and older.concurrency_seq < ${column('concurrency_seq')}
      and older.ended_at is null
      and ${column('cancel_requested_at')} is null
      and ${column('deadline_at')} > ${now}
  )`;
}

/** The open tasks of its key that must end before this one may start, oldest first. */
export async function olderOpenTasks(db: Executor, id: string): Promise<string[]> {
  const rows = await db
    .selectFrom('tasks as older')
    .innerJoin('tasks as self', 'self.concurrency_key', 'older.concurrency_key')
    .select('older.id')
    .where('self.id', '=', id)
    .where('older.ended_at', 'is', null)
    .whereRef('older.concurrency_seq', '<', 'self.concurrency_seq')
    .orderBy('older.concurrency_seq')
    .execute();
  return rows.map((row) => row.id);
}
