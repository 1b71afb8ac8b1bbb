// Original file: proto/isthmus/topology/v1/topology.proto

import type { UpstreamSource as _isthmus_topology_v1_UpstreamSource, UpstreamSource__Output as _isthmus_topology_v1_UpstreamSource__Output } from '../../../isthmus/topology/v1/UpstreamSource.ts';

export interface PackageSource {
  'node'?: (string);
  /**
   * The relays to cross from the requester, next first; empty for the server or a neighbour of its own parent.
   */
  'path'?: (string)[];
  /**
   * Set when the source has an open port, which needs no tunnel.
   */
  'url'?: (string);
  /**
   * Set for a source outside the mesh, which the requester reaches itself; node, path and url are then empty.
   */
  'upstream'?: (_isthmus_topology_v1_UpstreamSource | null);
  /**
   * The server itself opens the streams, of the service `push`; all other fields are then empty.
   */
  'pushed'?: (boolean);
}

export interface PackageSource__Output {
  'node': (string);
  /**
   * The relays to cross from the requester, next first; empty for the server or a neighbour of its own parent.
   */
  'path': (string)[];
  /**
   * Set when the source has an open port, which needs no tunnel.
   */
  'url': (string);
  /**
   * Set for a source outside the mesh, which the requester reaches itself; node, path and url are then empty.
   */
  'upstream': (_isthmus_topology_v1_UpstreamSource__Output | null);
  /**
   * The server itself opens the streams, of the service `push`; all other fields are then empty.
   */
  'pushed': (boolean);
}
