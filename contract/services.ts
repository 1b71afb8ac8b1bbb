// The services that nodes open on each other over the mesh: who may open each, and where a tunnel from below may go
// with it. Every node hands this table to its mesh, which knows no service but those that it serves itself.

/** From the server's side downwards every service may be opened; `fromBelowTo` says what a child may ask for. */
export const MESH_SERVICES = {
  /** gRPC `isthmus.tentacle.v1`, on tentacles. */
  tentacle: { openedBy: ['server'], fromBelowTo: [] },
  /** gRPC `isthmus.identity.v1`, on servers. */
  identity: { openedBy: ['server', 'relay', 'mirror', 'tentacle'], fromBelowTo: ['server'], unconfirmed: true },
  /** gRPC `isthmus.topology.v1`, on servers. */
  topology: { openedBy: ['relay', 'mirror', 'tentacle'], fromBelowTo: ['server'] },
  /** Packages over HTTP/1.1, on servers and mirrors. */
  feed: { openedBy: ['mirror', 'tentacle', 'server'], fromBelowTo: ['server', 'mirror'] },
} as const;
