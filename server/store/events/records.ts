// The common form of events and denials: who (actor) did, or was denied, what to what. Their rows, filters and pages.
import type { DenialType, EventType } from '../../../contract/events.ts';
import { fromJson, type Actor, type Executor, type Page } from '../base.ts';

export interface AuditRecord<Type extends string = EventType | DenialType> {
  /** Rises in commit order; events and denials have separate numbers. */
  readonly seq: number;
  readonly at: number;
  readonly actor: Actor;
  readonly type: Type;
  readonly subjectKind: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface AuditFilter {
  readonly after?: number | undefined;
  readonly type?: string | undefined;
  readonly subject?: string | undefined;
  readonly limit: number;
}

interface NewRecord {
  readonly type: string;
  readonly subject: string;
  readonly data: object;
  readonly actor: Actor;
  readonly at?: number | undefined;
}

/** The row of a record, without its number. */
export function toRow({ type, subject, data, actor, at = Date.now() }: NewRecord, subjectKind: string) {
  return { at, actor, type, subject_kind: subjectKind, subject, data_json: JSON.stringify(data) };
}

interface RecordRow {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly type: string;
  readonly subject_kind: string;
  readonly subject: string;
  readonly data_json: string;
}

/** The record of a row. */
export function toRecord<Type extends string>({ subject_kind, data_json, ...row }: RecordRow): AuditRecord<Type> {
  return { ...row, type: row.type as Type, subjectKind: subject_kind, data: fromJson(data_json) };
}

/** Oldest first, after number `after`. */
export async function listRecords<Type extends string>(
  db: Executor,
  table: 'events' | 'denials',
  { after = 0, type, subject, limit }: AuditFilter,
): Promise<Page<AuditRecord<Type>>> {
  let query = db.selectFrom(table).selectAll().where('seq', '>', after).orderBy('seq');
  if (type !== undefined) query = query.where('type', '=', type);
  if (subject !== undefined) query = query.where('subject', '=', subject);
  const rows = await query.limit(limit + 1).execute();
  const items = rows.slice(0, limit).map((row) => toRecord<Type>(row));
  const last = items.at(-1);
  return rows.length > limit && last !== undefined ? { items, next: String(last.seq) } : { items };
}
