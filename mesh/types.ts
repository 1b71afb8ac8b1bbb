// The mesh's whole interface to the layers above: dial a service on a node, listen for one.
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { PeerIdentity, Role } from '../certs/peer.ts';
import type { ErrorCode } from '../lib/errors.ts';
import type { Denials } from './denials.ts';

/** Control is for calls that must answer at once; bulk is for bodies, and takes a connection of its own. */
export type ServiceClass = 'control' | 'bulk';

export interface DialOptions {
  /** A node id, or 'server' for any node of that role. */
  readonly node: string;
  readonly service: string;
  /** The relays to cross, next first. Without it the injected resolver says. */
  readonly path?: readonly string[] | undefined;
  readonly class: ServiceClass;
  /** For opening the tunnel over all hops and the inner TLS handshake. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * An authenticated, encrypted stream between the two ends; `peer` was proven by the inner TLS session. It closes as a
 * whole: whoever ends it must have what it wants, as with any TLS connection of Node's.
 */
export interface MeshStream extends TLSSocket {
  readonly peer: PeerIdentity;
}

export interface ServicePolicy {
  /** The roles whose nodes may open this service; everyone else is refused ROLE_FORBIDDEN. */
  readonly roles: readonly Role[];
}

export interface LinkStatus {
  readonly peer: string;
  readonly peerRole: Role | undefined;
  /** What the peer is to this node. */
  readonly relation: 'parent' | 'child';
  readonly dialledBy: 'us' | 'peer';
  readonly address: string | undefined;
  /** Whether it carries work: a link with a node that is still joining does not, and is gone in a moment. */
  readonly up: boolean;
  readonly upSinceMs: number | undefined;
  readonly roundTripMs: number | undefined;
  /** Silence after which it is taken for dead; shorter where there is a second path. */
  readonly linkTimeoutMs: number | undefined;
  /** Bytes on the wire since the process started, all connections of the link, both as seen by this node. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly tunnels: number;
  readonly lastErrorCode: ErrorCode | undefined;
}

export interface DialAssignment {
  readonly node: string;
  /** host:port */
  readonly address: string;
}

export interface Mesh {
  dial(options: DialOptions): Promise<MeshStream>;
  /** Registers the one handler of a service. A service without a policy cannot be registered. */
  listen(service: string, policy: ServicePolicy, onStream: (stream: MeshStream) => void): void;
  /**
   * Opens `enrol` to a node without a certificate that this node, or the last relay of `path`, was told to dial. The
   * stream is bare: nothing about its other end is proven until the TLS session inside it is.
   */
  dialEnrol(options: Pick<DialOptions, 'node' | 'path' | 'deadlineMs' | 'signal'>): Promise<Duplex>;
  /** Takes the bare streams of nodes that enrol, direct or through relays. Servers only. */
  listenEnrol(onStream: (stream: Duplex) => void): void;
  links(): LinkStatus[];
  /** Calls back after a link came up or went down. */
  onLinksChanged(callback: () => void): () => void;
  /** What this node has refused; the parts above note here what they refuse. */
  readonly denials: Denials;
  /** Replaces the set of children this node dials. */
  assignDials(assignments: readonly DialAssignment[]): void;
  /** In order of preference. */
  parents(): readonly ParentStatus[];
  /**
   * Replaces the parents: links to those that are no longer named end at once. One node may be named with several
   * addresses; a live link over one of them gives way as soon as one that is named before it comes up.
   */
  assignParents(parents: readonly ParentConfig[]): void;
  /** Where the one port listens, as host:port; undefined when this node only dials. */
  readonly address: string | undefined;
  stop(): Promise<void>;
}

export interface ParentConfig {
  /** A node id, or 'server' for any node of that role. */
  readonly node: string;
  /** Where this node dials it; without it, it dials this node. */
  readonly address?: string | undefined;
}

export interface ParentStatus extends ParentConfig {
  /** Whether this very link is up, and not only one to the same node by another address. */
  readonly up: boolean;
  readonly lastErrorCode: ErrorCode | undefined;
}

export interface MeshConfig {
  /** host:port of the one port; without it this node only dials. */
  readonly listen?: string | undefined;
  /** In order of preference. */
  readonly parents: readonly ParentConfig[];
  /** Children that this node dials from the start. */
  readonly dials: readonly DialAssignment[];
}
