// Lists the audit record: every change, from the domain events, or every denial, in the same form.
import { IsthmusError } from '../../contract/errors.ts';
import { DENIAL_SUBJECTS, EVENT_SUBJECTS } from '../../contract/events.ts';
import type { Page } from '../store/base.ts';
import type { AuditFilter, AuditRecord } from '../store/events/records.ts';
import type { Store } from '../store/store.ts';

interface AuditQuery extends AuditFilter {
  /** Denials instead of changes. */
  readonly denied?: boolean | undefined;
}

/**
 * Oldest first, after number `after`; events and denials have separate numbers. INVALID_FIELD for a type that does not
 * exist.
 */
export async function listAudit(store: Store, { denied = false, ...filter }: AuditQuery): Promise<Page<AuditRecord>> {
  if (filter.type !== undefined && !Object.hasOwn(denied ? DENIAL_SUBJECTS : EVENT_SUBJECTS, filter.type)) {
    throw new IsthmusError('INVALID_FIELD', `there is no ${denied ? 'denial' : 'event'} ${filter.type}`, {
      field: 'type',
      remedy: 'docs/events.md lists the types.',
    });
  }
  return denied ? store.denials.list(filter) : store.events.list(filter);
}
