// What to do about an error, with the commands of this command line. Errors name no command: they carry words, and where
// it helps an action with arguments.
import {
  ERROR_CATALOGUE,
  rejoining,
  type ErrorCode,
  type IsthmusError,
  type RemedyAction,
} from '../../contract/errors.ts';
import type { Node } from '../../contract/nodes.ts';
import { shellWord } from './shell.ts';

/** Where the address in a join command comes from. */
const OTHER_ADDRESS =
  'The printed command has the address that the parent found out itself: `--address HOST:PORT` gives another, and `isthmus token create --role relay --address HOST:PORT`, or `address` in its config.yaml, sets it for the next nodes.';

/** What follows the catalogue's words for a code. */
const COMMANDS: Readonly<Partial<Record<ErrorCode, string | ((hop?: string) => string)>>> = {
  BAD_TASK_SIGNATURE: '`isthmus events --denied` lists them.',
  COMPONENT_FAILED: '`--clean` starts over.',
  FORBIDDEN: '`isthmus key list` shows the role of each key, `isthmus login --api-key-file FILE` takes another.',
  IDENTITY_MISSING: '`isthmus join` joins it.',
  INTERPRETER_MISSING: '`isthmus health check` finds what has been installed since.',
  JOIN_NOT_DIALLED: '`isthmus token list` shows the tokens, `isthmus mesh status` the parents.',
  JOIN_DNS: OTHER_ADDRESS,
  JOIN_TCP: OTHER_ADDRESS,
  JOIN_TLS: OTHER_ADDRESS,
  LAST_ADMIN: '`isthmus key create --name NAME --role admin --out FILE` creates one.',
  MACHINE_REVOKED: '`isthmus token create` with its name creates the token for that.',
  MACHINES_FAILED: '`isthmus task show ID` shows it.',
  MIRROR_UNSUPPORTED: (hop = 'MIRROR') => `${command('isthmus node upgrade', hop)} \`--file TARBALL\` upgrades it.`,
  NODE_CLONED: (hop = 'NODE') => reactivates(hop),
  NO_TARGETS: '`isthmus machine list` shows the environments and roles of each; `isthmus machine set ID` changes them.',
  NOT_INITIALISED: '`isthmus init` creates it.',
  PEER_CERTIFICATE_MISSING: '`isthmus join` joins it.',
  REPARENT_TIMEOUT: '`isthmus node show NODE` shows it.',
  ROUTE_INVALID: '`isthmus node list` shows the relays.',
  SCRIPT_FAILED: '`isthmus task log ID` shows it.',
  SCRIPT_INTERRUPTED: '`isthmus task retry ID` retries it.',
  SCRIPT_USER_UNKNOWN: '`--script-user` names it.',
  SERVICE_NOT_CONNECTED: '`isthmus service status` shows it.',
  SERVICE_NOT_INSTALLED: '`isthmus service install` installs it.',
  SERVER_UNREACHABLE: 'The address is that of --server, ISTHMUS_SERVER or the context file.',
  SERVER_WRONG_AUTHORITY: '--ca names its file; `isthmus cert authority --data DIR` on a node prints it.',
  SITES_NOT_READY: '`isthmus release show PROJECT VERSION --sites` shows what is missing.',
  SOFTWARE_KEYS_MISSING: '`isthmus host trust FILE` trusts it there.',
  TASK_NOT_SUCCESSFUL: '`isthmus task log ID` shows the log, `isthmus task show ID` the machines.',
  TOKEN_EXPIRED: '`isthmus token create` creates one.',
  TOKEN_UNKNOWN: '`isthmus token create` creates one.',
  TOKEN_USED: '`isthmus token create` creates one.',
  UPGRADE_CANARY_UNREACHABLE: '`--canary` names it.',
  UNAUTHENTICATED:
    "`isthmus login` logs in; `isthmus key create --data DIR` on the server's machine creates a key without one.",
  UNREACHABLE: (hop = 'NODE') => `${command('isthmus mesh trace', hop)} traces them.`,
};

/** What replaces the catalogue's words for a code. */
const SENTENCES: Readonly<Partial<Record<ErrorCode, string>>> = {
  CONFIRMATION_NEEDED: 'Add `--yes` to confirm it beforehand when there is no terminal to confirm at.',
};

/** One to three sentences, not escaped yet. `given` is the command that failed, such as `isthmus token create`. */
export function remedyText(
  {
    code,
    action,
    remedy,
    hop,
  }: Pick<IsthmusError, 'code' | 'action' | 'remedy'> & { readonly hop?: string | undefined },
  given = 'isthmus',
): string {
  if (action !== undefined) return actionText(action, remedy);
  // A remedy of its own says more than the code does.
  if (remedy !== ERROR_CATALOGUE[code].remedy) return remedy;
  if (code === 'USAGE') return `\`${given} --help\` shows how it is used.`;
  const how = COMMANDS[code];
  const words = typeof how === 'function' ? how(hop) : how;
  return SENTENCES[code] ?? (words === undefined ? remedy : `${remedy} ${words}`);
}

/** An action as the command that does it, after `remedy` where that says more. */
export function actionText(action: RemedyAction, remedy: string): string {
  switch (action.code) {
    case 'CANCEL_TASK':
      return `${remedy} ${command('isthmus task cancel', action.arguments.task)} cancels it.`;
    case 'CHOOSE_EXISTING':
      return `Check the spelling; ${shows(action.arguments.kind)}.`;
    case 'CHOOSE_OR_CREATE': {
      const { kind, id } = action.arguments;
      return `${shows(kind)}; ${command('isthmus', kind, 'create', id)} creates it.`;
    }
    case 'CHOOSE_OR_CREATE_RELEASE': {
      const { project, version } = action.arguments;
      const list = command('isthmus release list', project);
      return `${list} shows which exist; ${command('isthmus release create', project, version)} creates it.`;
    }
    case 'CHOOSE_PACKAGE_VERSION':
      return `${command('isthmus package list', action.arguments.package)} shows which exist.`;
    case 'CHOOSE_VARIABLE':
      return `${command('isthmus project variables list', action.arguments.project)} shows which exist.`;
    case 'CHOOSE_RELAY':
      return `${remedy} \`isthmus node list\` shows them.`;
    case 'DELETE_RELEASE': {
      const { project, version } = action.arguments;
      return `${remedy} ${command('isthmus release delete', project, version)} deletes it.`;
    }
    case 'DELETE_VARIABLE': {
      const { project, variable } = action.arguments;
      return `${remedy} ${command('isthmus project variables delete', project, variable)} deletes it.`;
    }
    case 'DEPLOY_OTHER': {
      const { project, environment } = action.arguments;
      return `${remedy} ${command('isthmus deploy', project, 'VERSION', '--to', environment)} deploys one.`;
    }
    case 'ENABLE_MACHINE':
      return `${remedy} ${command('isthmus machine enable', action.arguments.machine)} enables it.`;
    case 'GIVE_ADDRESS':
      return `Add \`--address HOST:PORT\` with the address of ${action.arguments.node}.`;
    case 'PUSH_PACKAGE':
      return `${command('isthmus package push FILE', action.arguments.package, 'VERSION')} pushes one.`;
    case 'REJOIN_NODE': {
      const { node, role, site, parents, address } = action.arguments;
      const below = parents.split(',').flatMap((parent) => ['--parent', parent]);
      const dialled = address === '' ? [] : ['--address', address];
      const words = ['--role', role, '--site', site, '--name', node, ...below, ...dialled];
      return `${remedy} ${command('isthmus token create', ...words)} creates the token for that.`;
    }
    case 'REACTIVATE_NODE':
      return `${remedy} ${reactivates(action.arguments.node)}`;
    case 'REVOKE_NODE':
      return `${remedy} ${command('isthmus node revoke', action.arguments.node)} revokes it.`;
    case 'REVOKE_TOKEN':
      return `${remedy} ${command('isthmus token revoke', action.arguments.token)} revokes it.`;
    case 'SET_ENVIRONMENTS': {
      const [first = '', ...others] = action.arguments.machines.split(',');
      const set = command('isthmus machine set', others.length === 0 ? first : 'ID', '--environment', 'NAME');
      return `${set} changes that${others.length === 0 ? '' : ' for each'}.`;
    }
    case 'SET_MODE':
      return `${command('chmod', action.arguments.mode, action.arguments.path)} restricts it.`;
    case 'SET_OWNER':
      return `${command('chown -R', action.arguments.owner, action.arguments.path)} gives it to that account.`;
    case 'SET_PROCESS':
      return `${command('isthmus project set-process', action.arguments.project, 'FILE')} gives it steps.`;
    case 'SET_VARIABLE': {
      const { project, variable } = action.arguments;
      const set = command('isthmus project variables set', project, variable, 'VALUE');
      return `${remedy} ${set} sets it, ${command('isthmus release create', project, 'VERSION')} releases it.`;
    }
    case 'SHOW_EXISTING': {
      const { kind, id } = action.arguments;
      const words = SHOWN_ONE_BY_ONE.has(kind) ? [kind, 'show', id] : [kind, 'list'];
      return `${remedy} ${command('isthmus', ...words)} shows it.`;
    }
    case 'SHOW_RELEASE': {
      const { project, version } = action.arguments;
      return `${remedy} ${command('isthmus release show', project, version)} shows it.`;
    }
  }
}

/** A revoked node, and what brings it back. */
export function revokedText(node: Node): string {
  return actionText(rejoining(node), `node ${node.id} is revoked until it joins again.`);
}

/** What lets the denied process of a node in. */
export function reactivates(node: string): string {
  return `${command('isthmus node reactivate', node)} lets it in.`;
}

/** Kinds with a command that shows one. */
const SHOWN_ONE_BY_ONE: ReadonlySet<string> = new Set(['machine', 'node', 'project', 'task']);

function shows(kind: string): string {
  const of = kind === 'release' ? ['PROJECT'] : [];
  return `${command('isthmus', kind, 'list', ...of)} shows which exist`;
}

/** A command for copying: its first words, then arguments, which came from elsewhere. */
function command(words: string, ...others: readonly string[]): string {
  return `\`${[words, ...others.map(shellWord)].join(' ')}\``;
}
