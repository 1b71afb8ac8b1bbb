// The error for a reference to something that does not exist.
import { IsthmusError, type RemedyAction } from '../../contract/errors.ts';

/** INVALID_FIELD for a reference to something that does not exist. */
export function noSuch(kind: 'environment' | 'machine' | 'project' | 'site', id: string, field: string): IsthmusError {
  // Machines are not created, they join.
  const action: RemedyAction =
    kind === 'machine'
      ? { code: 'CHOOSE_EXISTING', arguments: { kind } }
      : { code: 'CHOOSE_OR_CREATE', arguments: { kind, id } };
  return new IsthmusError('INVALID_FIELD', `there is no ${kind} ${id}`, { field, action });
}
