// The mesh's whole interface to the layers above: dial a service on a node, listen for one.
import type { TLSSocket } from 'node:tls';
import type { PeerIdentity, Role } from '../certs/peer.ts';

/** Control is for calls that must answer at once; bulk is for bodies, and takes a connection of its own. */
export type ServiceClass = 'control' | 'bulk';

export interface DialOptions {
  /** A node id, or 'server' for any node of that role. */
  readonly node: string;
  readonly service: string;
  /** The relays to cross, next first. Without it the injected resolver says. */
  readonly path?: readonly string[];
  readonly class: ServiceClass;
  /** For opening the tunnel over all hops and the inner TLS handshake. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/** An authenticated, encrypted stream between the two ends; `peer` was proven by the inner TLS session. */
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
  readonly up: boolean;
  readonly upSinceMs: number | undefined;
  readonly roundTripMs: number | undefined;
  /** Bytes on the wire since the process started, all connections of the link, both as seen by this node. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly tunnels: number;
  readonly lastErrorCode: string | undefined;
}

export interface Mesh {
  dial(options: DialOptions): Promise<MeshStream>;
  /** Registers the one handler of a service. A service without a policy cannot be registered. */
  listen(service: string, policy: ServicePolicy, onStream: (stream: MeshStream) => void): void;
  links(): LinkStatus[];
  /** Replaces the set of children this node dials. */
  assignDials(assignments: readonly { node: string; address: string }[]): void;
  /** Where the one port listens, as host:port; undefined when this node only dials. */
  readonly address: string | undefined;
  stop(): Promise<void>;
}
