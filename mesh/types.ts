// The mesh's interface to the layers above: dial a service on a node, listen for one.
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { PeerIdentity } from '../certs/peer.ts';
import type { NodeStart } from '../certs/starts.ts';
import type { NodeRole } from '../contract/nodes.ts';
import type { ErrorCode, IsthmusError } from '../contract/errors.ts';
import type { Denials } from './denials.ts';

/**
 * Control is for calls that must answer at once. Bulk is for bodies: each tunnel has its own connection on every link.
 */
export type ServiceClass = 'control' | 'bulk';

export interface DialOptions {
  /** A node id, or 'server' for any node of that role. */
  readonly node: string;
  readonly service: string;
  /** The relays to cross, next first. Without it the injected resolver decides. */
  readonly path?: readonly string[] | undefined;
  readonly class: ServiceClass;
  /** For opening the tunnel over all hops and the end-to-end TLS handshake. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * An authenticated, encrypted stream between the two endpoints; the end-to-end TLS session has proven `peer`. Ending it
 * closes both directions, as with any TLS connection of Node.
 */
export interface MeshStream extends TLSSocket {
  readonly peer: PeerIdentity;
  /** Of the peer's process, where this node is a server. */
  readonly start?: NodeStart | undefined;
}

export interface LinkStatus {
  readonly peer: string;
  readonly peerRole: NodeRole | undefined;
  /** What the peer is to this node. */
  readonly relation: 'parent' | 'child';
  readonly dialledBy: 'us' | 'peer';
  readonly address: string | undefined;
  /** Whether it carries work. A link with a node that is still joining does not, and ends soon. */
  readonly up: boolean;
  readonly upSinceMs: number | undefined;
  readonly roundTripMs: number | undefined;
  /** Silence after which the link is dead; shorter where there is a second path. */
  readonly linkTimeoutMs: number | undefined;
  /** Bytes on the wire since the process started, over all connections of the link, as this node sees them. */
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
  /** Registers the one handler of a service. ACCESS_MISSING when the service table does not say who may open it. */
  listen(service: string, onStream: (stream: MeshStream) => void): void;
  /**
   * Opens `enrol` to a node without a certificate that this node, or the last relay of `path`, was assigned to dial.
   * The stream is bare: its other end is proven only by the TLS session inside it.
   */
  dialEnrol(options: Pick<DialOptions, 'node' | 'path' | 'deadlineMs' | 'signal'>): Promise<Duplex>;
  /** Registers the handler for the bare streams of nodes that enrol, directly or through relays. Servers only. */
  listenEnrol(onStream: (stream: Duplex) => void): void;
  links(): LinkStatus[];
  /** Calls back after a link came up or went down; returns a function that stops it. */
  onLinksChanged(callback: () => void): () => void;
  /** What this node has denied; the components above note their denials here too. */
  readonly denials: Denials;
  /** Replaces the set of children this node dials. */
  assignDials(assignments: readonly DialAssignment[]): void;
  /** In order of preference. */
  parents(): readonly ParentStatus[];
  /**
   * Replaces the parents: links to those that are no longer named end at once. One node may be named with several
   * addresses; a live link over one of them is replaced as soon as an address named before it answers.
   */
  assignParents(parents: readonly ParentConfig[]): void;
  /** Ends all links to parents; those that this node dials are dialled again after a back-off. */
  endParentLinks(error: IsthmusError): void;
  /** Ends the links and sessions with all processes of a node but the one of this start. */
  endOtherStarts(node: string, nonce: string): void;
  /** host:port of this node's port; undefined when it only dials. */
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
  /** Whether this link is up, not another one to the same node by another address. */
  readonly up: boolean;
  readonly lastErrorCode: ErrorCode | undefined;
}

export interface MeshConfig {
  /** host:port of this node's port; without it the node only dials. */
  readonly listen?: string | undefined;
  /** In order of preference. */
  readonly parents: readonly ParentConfig[];
  /** Children that this node dials from the start. */
  readonly dials: readonly DialAssignment[];
}
