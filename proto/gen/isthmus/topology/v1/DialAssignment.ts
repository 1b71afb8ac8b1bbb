// Original file: proto/isthmus/topology/v1/topology.proto


export interface DialAssignment {
  'node'?: (string);
  /**
   * host:port
   */
  'address'?: (string);
}

export interface DialAssignment__Output {
  'node': (string);
  /**
   * host:port
   */
  'address': (string);
}
