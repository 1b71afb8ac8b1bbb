// What to do about an error, with the commands of this command line. Errors name no command: they carry words, and where
// it helps an action with arguments.
import { ERROR_CATALOGUE, type ErrorCode, type IsthmusError, type RemedyAction } from '../../contract/errors.ts';
import { shellWord } from './shell.ts';

/** What follows the catalogue's words for a code. */
const COMMANDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  BAD_TASK_SIGNATURE: '`isthmus events --denied` lists them.',
  COMPONENT_FAILED: '`--clean` starts over.',
  CONFIRMATION_NEEDED: '`--yes` confirms it.',
  IDENTITY_MISSING: '`isthmus join` joins it.',
  JOIN_NOT_DIALLED: '`isthmus token list` shows the tokens, `isthmus mesh status` the parents.',
  MACHINES_FAILED: '`isthmus task show ID` shows it.',
  NO_TARGETS: '`isthmus machine list` shows the environments and roles of each; `isthmus machine set ID` changes them.',
  NOT_INITIALISED: '`isthmus init` creates it.',
  PEER_CERTIFICATE_MISSING: '`isthmus join` joins it.',
  REPARENT_TIMEOUT: '`isthmus node show NODE` shows it.',
  ROUTE_INVALID: '`isthmus node list` shows the relays.',
  SCRIPT_INTERRUPTED: '`isthmus task retry ID` retries it.',
  SCRIPT_USER_UNKNOWN: '`--script-user` names it.',
  SERVER_UNREACHABLE: 'The address is that of --server, ISTHMUS_SERVER or the context file.',
  SERVER_WRONG_AUTHORITY: '--ca names its file; `isthmus cert authority --data DIR` on a node prints it.',
  TASK_NOT_SUCCESSFUL: '`isthmus task log ID` shows the log, `isthmus task show ID` the machines.',
  TOKEN_EXPIRED: '`isthmus token create` creates one.',
  TOKEN_UNKNOWN: '`isthmus token create` creates one.',
  TOKEN_USED: '`isthmus token create` creates one.',
  UNAUTHENTICATED: '`isthmus login` logs in, `isthmus key create` creates a key.',
  UNREACHABLE: '`isthmus mesh trace NODE` traces them.',
  USAGE: 'Add --help to the command to see it.',
};

/** One to three sentences, not escaped yet. */
export function remedyText({ code, action, remedy }: Pick<IsthmusError, 'code' | 'action' | 'remedy'>): string {
  if (action !== undefined) return actionText(action, remedy);
  const command = COMMANDS[code];
  // A remedy of its own says more than the code does.
  return command === undefined || remedy !== ERROR_CATALOGUE[code].remedy ? remedy : `${remedy} ${command}`;
}

/** An action as the command that does it; `otherwise` for an action that this version does not know. */
export function actionText(action: RemedyAction, otherwise: string): string {
  switch (action.code) {
    case 'CHOOSE_EXISTING':
      return `Check the spelling; ${shows(action.arguments.kind)}.`;
    case 'CHOOSE_OR_CREATE': {
      const { kind, id } = action.arguments;
      return `${shows(kind)}; \`isthmus ${kind} create ${id}\` creates it.`;
    }
    case 'CHOOSE_OR_CREATE_RELEASE': {
      const { project, version } = action.arguments;
      const create = `isthmus release create ${project} ${shellWord(version)}`;
      return `\`isthmus release list ${project}\` shows which exist; \`${create}\` creates it.`;
    }
    case 'CHOOSE_PACKAGE_VERSION':
      return `\`isthmus package list ${action.arguments.package}\` shows which exist.`;
    case 'PUSH_PACKAGE':
      return `\`isthmus package push FILE ${action.arguments.package} VERSION\` pushes one.`;
    case 'REVOKE_NODE':
      return `${otherwise} \`isthmus node revoke ${action.arguments.node}\` revokes it.`;
    case 'SET_ENVIRONMENTS':
      return `\`isthmus machine set ${action.arguments.machine} --environment NAME\` changes that.`;
    case 'SET_PROCESS':
      return `\`isthmus project set-process ${action.arguments.project} FILE\` gives it steps.`;
    default:
      // A newer server may send another.
      return otherwise;
  }
}

function shows(kind: string): string {
  return `\`isthmus ${kind} list\` shows which exist`;
}
