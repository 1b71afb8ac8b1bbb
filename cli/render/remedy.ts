// What to do about an error, as a command: the server sends an action, not a command of this command line.
import type { IsthmusError } from '../../contract/errors.ts';

/** One or two sentences, not escaped yet. */
export function remedyText({ action, remedy }: Pick<IsthmusError, 'action' | 'remedy'>): string {
  if (action === undefined) return remedy;
  const list = `\`isthmus ${action.arguments.kind} list\` shows which exist`;
  switch (action.code) {
    case 'CHOOSE_EXISTING':
      return `Check the spelling; ${list}.`;
    case 'CHOOSE_OR_CREATE':
      return `${list}; \`isthmus ${action.arguments.kind} create ${action.arguments.id}\` creates it.`;
    default:
      // A newer server may send an action that this version does not know.
      return remedy;
  }
}
