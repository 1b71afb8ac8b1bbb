// Domain events and denials: every type with its subject and data; there are no others. An event is appended in the
// transaction of the change that it records, and is its audit record. Types have one form, `noun.verb-in-past`, with
// hyphens inside a word; docs/events.md explains each.
import type { Health, MachineRoute, Thresholds } from './machines.ts';
import type { Parent } from './nodes.ts';
import type { EndState } from './tasks.ts';
import type { WarmSetting } from './warm-setting.ts';

interface ProjectOutline {
  readonly name: string;
  readonly steps: readonly { readonly name: string; readonly kind: string }[];
}

interface VariableOutline {
  readonly project: string;
  readonly name: string;
  readonly sensitive: boolean;
  /** The values of each dimension that limits it. */
  readonly scope: { readonly [dimension: string]: readonly string[] | undefined };
}

interface DeploymentOutline {
  readonly project: string | null;
  readonly environment: string | null;
}

/** The fields that a change has set. */
type Changed<Fields> = { readonly [Field in keyof Fields]?: Fields[Field] | undefined };

type Described = Changed<{ readonly name: string; readonly description: string }>;

interface TaskRun {
  readonly node: string;
  readonly epoch: number;
}

interface TaskEnd {
  readonly state: EndState;
  readonly errorCode: string | null;
}

interface UpgradeOutline {
  readonly task: string;
  readonly version: string;
  /** The version that ran before, as far as it is known. */
  readonly before: string | null;
}

interface UpgradeFailure {
  readonly code: string | null;
  readonly detail: string | null;
}

type Nothing = Readonly<Record<string, never>>;

/** The data of each event, never with a secret. Times are milliseconds since 1970. */
export interface EventData {
  'api-key.created': { readonly name: string; readonly role: string; readonly expiresAt: number | null };
  'api-key.revoked': Nothing;
  /** Negative when it was set back. */
  'clock.jumped': { readonly byMs: number };
  'deployment.created': { readonly project: string; readonly release: string; readonly environment: string };
  'deployment.started': TaskRun & DeploymentOutline;
  'deployment.resumed': TaskRun & DeploymentOutline;
  'deployment.ended': TaskEnd & DeploymentOutline;
  'environment.created': { readonly name: string };
  'environment.updated': Described;
  'environment.deleted': Nothing;
  'link.lost': { readonly from: string; readonly to: string; readonly code: string | null };
  'link.restored': { readonly from: string; readonly to: string; readonly downMs: number };
  'machine.created': {
    readonly site: string;
    readonly routes: readonly MachineRoute[];
    readonly environments: readonly string[];
    readonly targetRoles: readonly string[];
  };
  'machine.updated': Changed<{
    readonly name: string;
    readonly routes: readonly MachineRoute[];
    readonly environments: readonly string[];
    readonly targetRoles: readonly string[];
    readonly disabled: boolean;
    readonly thresholds: Thresholds | null;
  }>;
  'machine.deleted': Nothing;
  'machine.health-changed': {
    readonly from: Health;
    readonly to: Health;
    readonly hop: string | null;
    readonly reasons: readonly string[];
  };
  'mesh.initialised': { readonly node: string };
  /** A second process of a node was denied. */
  'mirror.cache-filled': Nothing;
  'mirror.cache-freed': Nothing;
  'mirror.damage-found': { readonly packages: number };
  'mirror.pinned': { readonly package: string; readonly version: string };
  'mirror.unpinned': { readonly package: string; readonly version: string };
  'node.cloned': {
    readonly hostname: string;
    readonly address: string | null;
    /** The node that it came by: itself, or a relay. */
    readonly via: string;
  };
  'node.joined': {
    readonly role: string;
    readonly token?: string;
    readonly site?: string;
    readonly parents?: readonly Parent[];
    /** Whether it had been revoked before. */
    readonly again?: boolean;
  };
  'node.reactivated': { readonly hostname: string; readonly address: string | null };
  'node.lost': { readonly role: string; readonly lastSeenAt: number | null };
  'node.renewed': { readonly serial: string; readonly notAfter: number };
  'node.reparent-requested': { readonly parents: readonly Parent[]; readonly before: readonly Parent[] };
  'node.reparented': { readonly parents: readonly Parent[]; readonly before: readonly Parent[] };
  'node.restored': { readonly downMs: number };
  'node.revoked': {
    readonly role: string;
    readonly site: string | null;
    /** The time of the revocation, when this server learned of it from a neighbour. */
    readonly revokedAt?: number;
  };
  'node.upgrade-requested': UpgradeOutline;
  'node.upgraded': UpgradeOutline;
  /** Nothing was switched. */
  'node.upgrade-failed': UpgradeOutline & UpgradeFailure;
  /** The host runs the version before again. */
  'node.upgrade-went-back': UpgradeOutline & UpgradeFailure;
  'package-source.created': {
    readonly kind: 'mesh' | 'upstream';
    readonly url?: string;
    readonly node?: string;
    readonly machines: readonly string[];
    readonly sites: readonly string[];
    readonly networks: readonly string[];
  };
  'package-source.deleted': Nothing;
  'package.damaged': Nothing;
  'package.deleted': { readonly version: string; readonly sha256: string; readonly sizeBytes: number };
  'package.pushed': {
    readonly version: string;
    readonly sha256: string;
    readonly sizeBytes: number;
    readonly format: string;
  };
  'project.created': ProjectOutline;
  'project.updated': Described & Changed<{ readonly warm: WarmSetting }>;
  'project.process-replaced': Pick<ProjectOutline, 'steps'>;
  'project.deleted': Nothing;
  'release.created': {
    readonly project: string;
    readonly version: string;
    readonly packages: readonly {
      readonly step: string;
      readonly id: string;
      readonly version: string;
      readonly sha256: string;
    }[];
  };
  'release.deleted': { readonly project: string; readonly version: string };
  'site.created': { readonly name: string };
  'site.updated': Described;
  'site.deleted': Nothing;
  /** A node left a source of packages because it was too slow. */
  'source.abandoned': {
    /** The node that was fetching. */
    readonly by: string;
    readonly sha256: string;
    /** What came in the last `ms`. */
    readonly bytes: number;
    readonly ms: number;
    readonly at: number;
  };
  'task.created': {
    readonly kind: string;
    readonly title: string;
    readonly retryOf?: string;
    /** Fields of its kind of task. */
    readonly [field: string]: unknown;
  };
  'task.started': TaskRun;
  'task.resumed': TaskRun;
  'task.cancel-requested': Nothing;
  'task.retried': { readonly by: string };
  'task.ended': TaskEnd;
  'token.created': {
    readonly role: string;
    readonly site: string;
    readonly name: string | null;
    readonly parents: readonly Parent[];
    readonly expiresAt: number;
  };
  'token.bound': { readonly node: string };
  'token.unbound': Nothing;
  'token.revoked': Nothing;
  'variable.created': VariableOutline;
  'variable.updated': VariableOutline;
  'variable.deleted': VariableOutline;
}

/** The kind of each event's subject; `subject` is an id of that kind. */
export const EVENT_SUBJECTS = {
  'api-key.created': 'api-key',
  'api-key.revoked': 'api-key',
  'clock.jumped': 'node',
  'deployment.created': 'deployment',
  'deployment.started': 'deployment',
  'deployment.resumed': 'deployment',
  'deployment.ended': 'deployment',
  'environment.created': 'environment',
  'environment.updated': 'environment',
  'environment.deleted': 'environment',
  'link.lost': 'link',
  'link.restored': 'link',
  'machine.created': 'machine',
  'machine.updated': 'machine',
  'machine.deleted': 'machine',
  'machine.health-changed': 'machine',
  'mesh.initialised': 'mesh',
  'mirror.cache-filled': 'node',
  'mirror.cache-freed': 'node',
  'mirror.damage-found': 'node',
  'mirror.pinned': 'node',
  'mirror.unpinned': 'node',
  'node.cloned': 'node',
  'node.joined': 'node',
  'node.reactivated': 'node',
  'node.lost': 'node',
  'node.renewed': 'node',
  'node.reparent-requested': 'node',
  'node.reparented': 'node',
  'node.restored': 'node',
  'node.revoked': 'node',
  'node.upgrade-requested': 'node',
  'node.upgraded': 'node',
  'node.upgrade-failed': 'node',
  'node.upgrade-went-back': 'node',
  'package-source.created': 'source',
  'package-source.deleted': 'source',
  'package.damaged': 'blob',
  'package.deleted': 'package',
  'package.pushed': 'package',
  'project.created': 'project',
  'project.updated': 'project',
  'project.process-replaced': 'project',
  'project.deleted': 'project',
  'release.created': 'release',
  'release.deleted': 'release',
  'site.created': 'site',
  'site.updated': 'site',
  'site.deleted': 'site',
  'source.abandoned': 'node',
  'task.created': 'task',
  'task.started': 'task',
  'task.resumed': 'task',
  'task.cancel-requested': 'task',
  'task.retried': 'task',
  'task.ended': 'task',
  'token.created': 'token',
  'token.bound': 'token',
  'token.unbound': 'token',
  'token.revoked': 'token',
  'variable.created': 'variable',
  'variable.updated': 'variable',
  'variable.deleted': 'variable',
} as const satisfies Readonly<Record<keyof EventData, string>>;

export type EventType = keyof EventData;

/** The events of the given types; of all types by default. */
export type DomainEvent<Type extends EventType = EventType> = {
  [Each in Type]: { readonly type: Each; readonly subject: string; readonly data: EventData[Each] };
}[Type];

/** The data of each denial. */
export interface DenialData {
  /** A node was denied a blob. */
  'download.denied': { readonly code: string };
  'enrolment.denied': {
    readonly code: string;
    readonly role: string;
    readonly site: string;
    readonly name: string;
  };
  /** A node (the actor) denied a peer something. */
  'peer.denied': { readonly code: string; readonly what: string; readonly detail: string; readonly atMs: number };
  'request.denied': {
    readonly code: string;
    readonly address: string;
    /** What was requested. */
    readonly [field: string]: unknown;
  };
  /** The server rejected what a machine reported about a ticket. */
  'ticket.denied': {
    readonly ticket: string;
    readonly task: string;
    readonly code: string | null;
    readonly detail: string | null;
  };
}

/** The kind of each denial's subject. */
export const DENIAL_SUBJECTS = {
  'download.denied': 'blob',
  'enrolment.denied': 'token',
  'peer.denied': 'peer',
  'request.denied': 'route',
  'ticket.denied': 'machine',
} as const satisfies Readonly<Record<keyof DenialData, string>>;

export type DenialType = keyof DenialData;

export type Denial = {
  [Type in DenialType]: {
    readonly type: Type;
    readonly subject: string;
    /** `moreNotRecorded`: the limit is reached; further denials of this minute are not recorded. */
    readonly data: DenialData[Type] & { readonly moreNotRecorded?: boolean };
  };
}[DenialType];
