// Original file: proto/isthmus/topology/v1/topology.proto


export interface Place {
  'node'?: (string);
  /**
   * The relays to cross from the asker, next first; empty for its own parent's neighbour or the server.
   */
  'path'?: (string)[];
  /**
   * Set when the place has a port that the asker can reach without a tunnel.
   */
  'url'?: (string);
}

export interface Place__Output {
  'node': (string);
  /**
   * The relays to cross from the asker, next first; empty for its own parent's neighbour or the server.
   */
  'path': (string)[];
  /**
   * Set when the place has a port that the asker can reach without a tunnel.
   */
  'url': (string);
}
