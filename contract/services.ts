// Mesh services: who may open each one, and to which roles a tunnel from a child may lead. Every node passes this table
// to its mesh layer, which has no service names of its own.
import { JOIN_ROLES } from './join-tokens.ts';
import { NODE_ROLES } from './nodes.ts';

/** Tunnels from the server's side downwards may use every service; `fromBelowTo` limits those from a child. */
export const MESH_SERVICES = {
  /** gRPC `isthmus.tentacle.v1`, on tentacles. */
  tentacle: { openedBy: ['server'], fromBelowTo: [] },
  /** gRPC `isthmus.identity.v1`, on servers. */
  identity: { openedBy: NODE_ROLES, fromBelowTo: ['server'], unconfirmed: true },
  /** gRPC `isthmus.topology.v1`, on servers. */
  topology: { openedBy: JOIN_ROLES, fromBelowTo: ['server'] },
  /** gRPC `isthmus.upgrade.v1`, on every node but servers. */
  upgrade: { openedBy: ['server'], fromBelowTo: [] },
  /** gRPC `isthmus.mirror.v1`, on mirrors. */
  mirror: { openedBy: ['server'], fromBelowTo: [] },
  /** Packages over HTTP/1.1, on servers and mirrors. */
  feed: { openedBy: NODE_ROLES, fromBelowTo: ['server', 'mirror'] },
  /** As `feed`, the other way about: the server opens the stream, and the tentacle, which may not fetch, asks over it. */
  push: { openedBy: ['server'], fromBelowTo: [] },
} as const;
