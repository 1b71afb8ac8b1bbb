// Original file: proto/isthmus/identity/v1/identity.proto


export interface EnrolResponse {
  'node'?: (string);
  'role'?: (string);
  'site'?: (string);
  'meshId'?: (string);
  'certificatePem'?: (string);
  'authorityPem'?: (string);
  /**
   * The node id of the relay (or server node) that is this node's parent, and how it is reached, when it is dialled.
   */
  'parent'?: (string);
}

export interface EnrolResponse__Output {
  'node': (string);
  'role': (string);
  'site': (string);
  'meshId': (string);
  'certificatePem': (string);
  'authorityPem': (string);
  /**
   * The node id of the relay (or server node) that is this node's parent, and how it is reached, when it is dialled.
   */
  'parent': (string);
}
