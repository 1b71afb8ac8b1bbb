// What the command line reads of the API's answers. Fields it does not show are left out; docs/api.md has them all.

export interface TaskStep {
  /** The name of the process's step; the task's kind where there is no process. */
  readonly step: string;
  readonly action: string;
  /** Null while the step has not begun. */
  readonly ticket: string | null;
  readonly state: string;
  readonly exitCode?: number | null;
  readonly error?: TaskError | null;
  readonly detail?: Readonly<Record<string, unknown>> | null;
}

export interface TaskError {
  readonly code: string;
  readonly detail?: string | null;
  readonly hop?: string | null;
}

export interface TaskMachine {
  readonly machine: string;
  readonly state: string;
  readonly steps: readonly TaskStep[];
  /** While it is under way: what it waits for, or how far it is. */
  readonly note?: { readonly text: string; readonly code?: string | null };
}

export interface Task {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly state: string;
  readonly createdAt: number | string;
  readonly startedAt?: number | string | null;
  readonly endedAt?: number | string | null;
  readonly deadlineAt?: number | string | null;
  /** The task that this one tries again. */
  readonly retryOf?: string;
  readonly error?: TaskError | null;
  readonly machines?: readonly TaskMachine[];
  readonly blockedBy?: unknown;
}

export interface LogLine {
  readonly ticket: string;
  readonly machine: string;
  readonly step?: number | string;
  readonly line: number;
  readonly at: number;
  readonly stream: string;
  readonly text: string;
}

export interface TaskNote {
  readonly at?: number;
  readonly machine?: string | null;
  readonly level?: string;
  readonly code?: string | null;
  readonly text: string;
}

export type Route =
  { readonly kind: 'direct' } | { readonly kind: 'path'; readonly via: readonly string[] } | { readonly kind: 'auto' };

/** What the last health check found. */
export interface HealthReport {
  readonly reasons?: readonly { readonly text: string }[];
  readonly clockSkewMs?: number | null;
  readonly roundTripMs?: number | null;
  readonly facts?: Readonly<Record<string, unknown>> | null;
}

export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly site: string;
  readonly environments: readonly string[];
  readonly targetRoles: readonly string[];
  readonly routes: readonly Route[];
  readonly disabled: boolean;
  readonly health: string;
  readonly healthReport?: HealthReport | null;
  readonly healthAt?: number | string | null;
  readonly thresholds?: unknown;
}

export interface Parent {
  readonly node: string;
  readonly dialAddress: string | null;
}

export interface WishedParents {
  readonly parents: readonly (Parent & { readonly address: string | null })[];
  readonly setAt: number | string;
  readonly setBy: string;
  /** Why the node has not gone over yet, when it has said so. */
  readonly errorCode: string | null;
}

export interface MeshNode {
  readonly id: string;
  readonly role: string;
  readonly site?: string | null;
  /** In order of preference. */
  readonly parents: readonly Parent[];
  readonly wishedParents?: WishedParents | null;
  readonly state: string;
  readonly certificateNotAfter?: number | string | null;
  readonly softwareVersion?: string | null;
  readonly lastSeenAt?: number | string | null;
}

export interface MeshLink {
  readonly from: string;
  readonly to: string;
  /** Whether `to` is a node of the mesh; if not, a token says that it is dialled. */
  readonly joined: boolean;
  readonly up: boolean;
  readonly roundTripMs?: number | null;
  readonly bytesDown: number;
  readonly bytesUp: number;
  readonly dialledBy?: 'parent' | 'child' | null;
  readonly lastErrorCode?: string | null;
}

export interface MeshState {
  readonly nodes: readonly Omit<MeshNode, 'parents' | 'wishedParents'>[];
  readonly links: readonly MeshLink[];
}

/** One way to a node: the relays to cross. */
export interface TracedWay {
  readonly path: readonly string[];
  readonly hops: readonly Hop[];
}

export interface PingedWay {
  readonly path: readonly string[];
  readonly roundTripsMs: readonly number[];
  readonly error?: Hop['error'];
}

export interface Hop {
  readonly node: string;
  readonly roundTripMs?: number | null;
  readonly version?: string | null;
  readonly certificateDays?: number | null;
  readonly error?: { readonly code: string; readonly detail?: string; readonly remedy?: string } | null;
}

export interface PackageVersion {
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: string;
}

export interface JoinToken {
  readonly id: string;
  readonly token: string;
  readonly pin: string;
  readonly expiresAt: number | string;
  readonly othersOpen: readonly string[];
  readonly joinCommand: string;
}

export interface Release {
  readonly id: string;
  readonly project: string;
  readonly version: string;
  readonly createdAt?: number | string;
  readonly packages?: readonly {
    readonly step: string;
    readonly id: string;
    readonly version: string;
    readonly sha256: string;
    readonly sizeBytes: number;
  }[];
}

/** States in which a task has reached its one end. */
export const endStates: readonly string[] = ['succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted'];
