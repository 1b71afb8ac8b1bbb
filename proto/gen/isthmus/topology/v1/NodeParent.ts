// Original file: proto/isthmus/topology/v1/topology.proto


export interface NodeParent {
  /**
   * The node id of a relay or server node.
   */
  'node'?: (string);
  /**
   * host:port at which the node dials it; empty when it dials the node.
   */
  'address'?: (string);
}

export interface NodeParent__Output {
  /**
   * The node id of a relay or server node.
   */
  'node': (string);
  /**
   * host:port at which the node dials it; empty when it dials the node.
   */
  'address': (string);
}
