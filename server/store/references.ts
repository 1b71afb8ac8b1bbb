// What a request names and the store does not have.
import { IsthmusError } from '../../lib/errors.ts';

/** INVALID_FIELD for a thing that is not there, with the commands that list and make such things. */
export function noSuch(kind: 'environment' | 'machine' | 'project' | 'site', id: string, field: string): IsthmusError {
  const list = `\`isthmus ${kind} list\` shows which there are`;
  // Machines are not made, they join.
  const remedy = kind === 'machine' ? `${list}.` : `${list}; \`isthmus ${kind} create ${id}\` makes it.`;
  return new IsthmusError('INVALID_FIELD', `there is no ${kind} ${id}`, { field, remedy });
}
