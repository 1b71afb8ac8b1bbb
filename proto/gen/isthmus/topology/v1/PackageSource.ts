// Original file: proto/isthmus/topology/v1/topology.proto


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
}
