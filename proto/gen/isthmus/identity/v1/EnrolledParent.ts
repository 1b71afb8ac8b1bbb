// Original file: proto/isthmus/identity/v1/identity.proto


export interface EnrolledParent {
  /**
   * The node id of a relay or server node.
   */
  'node'?: (string);
  /**
   * Whether the parent dials the node; otherwise the node dials its parent.
   */
  'dials'?: (boolean);
}

export interface EnrolledParent__Output {
  /**
   * The node id of a relay or server node.
   */
  'node': (string);
  /**
   * Whether the parent dials the node; otherwise the node dials its parent.
   */
  'dials': (boolean);
}
