// Remedies as data: what to do about an error, which a client puts into words.

const LISTED_KINDS = [
  'environment',
  'key',
  'machine',
  'node',
  'package',
  'package source',
  'project',
  'release',
  'site',
  'task',
  'token',
] as const;

/** Kinds of resources that can be listed. */
export type ListedKind = (typeof LISTED_KINDS)[number];

/** Every action, with the names of its arguments. */
const ACTION_ARGUMENTS = {
  /** Cancel the task. */
  CANCEL_TASK: ['task'],
  /** Choose an existing one. */
  CHOOSE_EXISTING: ['kind'],
  /** Choose an existing one, or create the missing one. */
  CHOOSE_OR_CREATE: ['kind', 'id'],
  /** Choose an existing release of the project, or create the missing one. */
  CHOOSE_OR_CREATE_RELEASE: ['project', 'version'],
  /** Choose an existing version of the package. */
  CHOOSE_PACKAGE_VERSION: ['package'],
  /** Choose an existing variable of the project. */
  CHOOSE_VARIABLE: ['project'],
  /** Choose a relay that exists and is active. */
  CHOOSE_RELAY: [],
  /** Delete the release. */
  DELETE_RELEASE: ['project', 'version'],
  /** Delete the variable. */
  DELETE_VARIABLE: ['project', 'variable'],
  /** Deploy another release of the project to the environment. */
  DEPLOY_OTHER: ['project', 'environment'],
  /** Enable the machine. */
  ENABLE_MACHINE: ['machine'],
  /** Give the address of the node, as host:port. */
  GIVE_ADDRESS: ['node'],
  /** Push a version of the package. */
  PUSH_PACKAGE: ['package'],
  /**
   * Create a join token for the revoked node, and join it again. Its parents as the command line takes them: IDs
   * separated by commas, `eu=10.0.0.7:8444` for one that dials it. The address where the children of a relay dial it;
   * empty when unknown.
   */
  REJOIN_NODE: ['node', 'role', 'site', 'parents', 'address'],
  /** Let the other process of the node in, and shut this one out. */
  REACTIVATE_NODE: ['node'],
  /** Revoke the node. */
  REVOKE_NODE: ['node'],
  /** Revoke the join token. */
  REVOKE_TOKEN: ['token'],
  /** Put the machines, IDs separated by commas, into an environment. */
  SET_ENVIRONMENTS: ['machines'],
  /** Change the mode of the file or folder, as `chmod` writes it. */
  SET_MODE: ['path', 'mode'],
  /** Give the file or folder, with all that is in it, to this user. */
  SET_OWNER: ['path', 'owner'],
  /** Give the project a process. */
  SET_PROCESS: ['project'],
  /** Give the project a variable of that name, or another value to the one that it has, and create a release. */
  SET_VARIABLE: ['project', 'variable'],
  /** Look at the one that exists. */
  SHOW_EXISTING: ['kind', 'id'],
  /** Look at the release that exists. */
  SHOW_RELEASE: ['project', 'version'],
} as const satisfies Record<string, readonly string[]>;

type ActionArguments = typeof ACTION_ARGUMENTS;

/** The remedy as data, which a client puts into words: the command line names a command, a web page links. */
export type RemedyAction = {
  [Code in keyof ActionArguments]: {
    readonly code: Code;
    readonly arguments: {
      readonly [Name in ActionArguments[Code][number]]: Name extends 'kind' ? ListedKind : string;
    };
  };
}[keyof ActionArguments];

interface RejoiningNode {
  readonly id: string;
  readonly role: string;
  readonly site: string | null;
  readonly address: string | null;
  readonly parents: readonly { readonly node: string; readonly dialAddress: string | null }[];
}

/** What brings a revoked node back: to join again where it was. */
export function rejoining({ id, role, site, address, parents }: RejoiningNode): RemedyAction {
  const words = parents.map(({ node, dialAddress }) => (dialAddress === null ? node : `${node}=${dialAddress}`));
  const names = { node: id, role, site: site ?? '', parents: words.join(','), address: address ?? '' };
  return { code: 'REJOIN_NODE', arguments: names };
}

/** The action that another process sent; undefined when it is incomplete, or one that this version does not know. */
export function receivedAction(sent: unknown): RemedyAction | undefined {
  return isAction(sent) ? sent : undefined;
}

function isAction(sent: unknown): sent is RemedyAction {
  if (!isRecord(sent) || typeof sent['code'] !== 'string' || !isRecord(sent['arguments'])) return false;
  if (!Object.hasOwn(ACTION_ARGUMENTS, sent['code'])) return false;
  const names: readonly string[] = ACTION_ARGUMENTS[sent['code'] as keyof ActionArguments];
  const values = Object.entries(sent['arguments']);
  return values.length === names.length && values.every(([name, value]) => names.includes(name) && fits(name, value));
}

function fits(name: string, value: unknown): boolean {
  return typeof value === 'string' && (name !== 'kind' || (LISTED_KINDS as readonly string[]).includes(value));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
