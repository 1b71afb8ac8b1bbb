// Lists the audit record: every change, from the domain events, or every denial, in the same form.
import type { Page } from '../store/base.ts';
import type { AuditFilter, AuditRecord } from '../store/events/records.ts';
import type { Store } from '../store/store.ts';

interface AuditQuery extends AuditFilter {
  /** Denials instead of changes. */
  readonly denied?: boolean | undefined;
}

/** Oldest first, after number `after`; events and denials have separate numbers. */
export function listAudit(store: Store, { denied = false, ...filter }: AuditQuery): Promise<Page<AuditRecord>> {
  return denied ? store.denials.list(filter) : store.events.list(filter);
}
