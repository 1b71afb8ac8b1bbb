// The audit record: every change, as the domain events tell it, or what was denied, in the same form.
import type { Page } from '../store/base.ts';
import type { AuditFilter, AuditRecord } from '../store/events/records.ts';
import type { Store } from '../store/store.ts';

interface AuditQuery extends AuditFilter {
  /** What was denied, instead of what was done. */
  readonly denied?: boolean | undefined;
}

/** Oldest first, after number `after`; each of the two has numbers of its own. */
export function listAudit(store: Store, { denied = false, ...filter }: AuditQuery): Promise<Page<AuditRecord>> {
  return denied ? store.denials.list(filter) : store.events.list(filter);
}
